import { chip, facts, fold, h, hash, meter, note, section, time } from "../draw.ts";
import { count, short, span, tiny } from "../format.ts";
import { aggregatorOf, isOpen, ROLES, tasksOf, verified, type Role, type Task } from "../tasks.ts";
import { t } from "../texts.ts";
import type { Status } from "../types.ts";

/** Counts down by itself, so that the card needs not be drawn again every second. */
function timeLeft({ common }: Task, now: number): HTMLElement {
  if (now < common.start) return h("span", {}, t.startsIn(span(common.start - now)));
  if (now >= common.expires) return h("span", {}, t.ended(span(now - common.expires)));
  return h("span", { "data-until": common.expires }, span(common.expires - now));
}

function batch(status: Status, task: Task, role: Role): HTMLElement {
  const seen = task[role];
  const name = h("span", { class: "role" }, role === "leader" ? t.leader : t.helper);
  if (seen === null) {
    const down = aggregatorOf(status, role)?.error !== null;
    return h(
      "div",
      { class: "batch" },
      name,
      h("span", { class: "note" }, down ? t.noAnswer : t.noTask),
    );
  }
  const have = verified(seen);
  const text = t.batchOf(count(have), count(seen.min_batch));
  const more = [
    have < seen.min_batch ? t.missing(count(seen.min_batch - have)) : t.enough,
    seen.waiting > 0 ? t.waiting(count(seen.waiting)) : null,
    seen.collected > 0 ? t.collectedOf(count(seen.collected)) : null,
  ].filter((part) => part !== null);
  return h(
    "div",
    { class: "batch", "data-testid": `batch-${role}` },
    name,
    meter(t.batchMeter(t.role(role)), text, have, seen.min_batch, seen.waiting),
    h("span", {}, text),
    note(more.join(" · ")),
  );
}

function mismatch({ leader, helper }: Task): HTMLElement | null {
  if (leader === null || helper === null) return null;
  const off = Math.abs(verified(leader) - verified(helper));
  if (off === 0) return null;
  return h(
    "p",
    { class: "differs", "data-testid": "counts-differ" },
    h("strong", {}, `${t.countsDiffer(count(off))}. `),
    t.countsDifferHelp,
  );
}

function card(status: Status, task: Task, now: number): HTMLElement {
  const { common } = task;
  const title = `task-${common.task}`;
  return h(
    "article",
    { class: "card", "aria-labelledby": title },
    h(
      "header",
      {},
      h("h3", { id: title }, t.roundOf(common.lineage, common.round)),
      isOpen(task, now) ? chip(t.stages["open"] ?? "", "open") : null,
    ),
    h("p", { class: "left" }, h("span", { class: "note" }, `${t.timeLeft}: `), timeLeft(task, now)),
    h("h4", {}, t.batch),
    ...ROLES.map((role) => batch(status, task, role)),
    mismatch(task),
    facts(
      [t.cost, t.costOf(short(common.epsilon), tiny(common.delta))],
      [t.noise, t.noiseOf(short(common.noise_multiplier))],
      [t.opens, h("span", {}, time(common.start), " – ", time(common.expires))],
      [t.taskId, hash(common.task)],
      [t.modelId, hash(common.model)],
    ),
  );
}

/** The rounds that take reports now, and below them those that ended. */
export function tasks(status: Status, now: number): HTMLElement {
  const all = tasksOf(status);
  const open = all.filter((task) => isOpen(task, now));
  const over = all.filter((task) => !isOpen(task, now));
  const cards = (some: Task[]): HTMLElement =>
    h("div", { class: "cards" }, ...some.map((task) => card(status, task, now)));
  return section(
    "tasks",
    t.tasks,
    open.length === 0
      ? h("div", { class: "empty" }, t.tasksNone, note(t.tasksNoneHelp))
      : cards(open),
    over.length > 0 && fold("ended", t.tasksEnded(over.length), cards(over)),
  );
}
