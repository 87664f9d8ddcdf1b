import { chip, empty, h, note, numberCell, section, table } from "../draw.ts";
import { count } from "../format.ts";
import { aggregatorOf, ROLES, tasksOf, type Role, type Task } from "../tasks.ts";
import { t } from "../texts.ts";
import type { Status } from "../types.ts";

/** Counts of one reason; null where that aggregator does not answer. */
type Pair = Readonly<Record<Role, number | null>>;

function totals(status: Status, tasks: readonly Task[]): Map<string, Pair> {
  const out = new Map<string, Record<Role, number | null>>();
  for (const task of tasks) {
    for (const role of ROLES) {
      for (const [reason, n] of Object.entries(task[role]?.rejected ?? {})) {
        const silent = (one: Role): boolean => aggregatorOf(status, one)?.error !== null;
        const blank = { leader: silent("leader") ? null : 0, helper: silent("helper") ? null : 0 };
        const pair = out.get(reason) ?? blank;
        pair[role] = (pair[role] ?? 0) + n;
        out.set(reason, pair);
      }
    }
  }
  return out;
}

function difference({ leader, helper }: Pair): HTMLElement {
  if (leader === null || helper === null) return numberCell(t.unknown);
  const off = leader - helper;
  if (off === 0) return numberCell("0");
  const sign = off > 0 ? "+" : "−";
  return h("td", { class: "number" }, chip(`${sign}${count(Math.abs(off))}`, "warn"));
}

function row(name: string, code: string | null, pair: Pair): HTMLElement {
  const differs = pair.leader !== null && pair.helper !== null && pair.leader !== pair.helper;
  return h(
    "tr",
    { class: differs ? "differs" : undefined },
    h("th", { scope: "row" }, name, code === null ? null : h("code", { class: "under" }, code)),
    numberCell(count(pair.leader)),
    numberCell(count(pair.helper)),
    difference(pair),
  );
}

function whole(pairs: Iterable<Pair>): Pair {
  const sum: Record<Role, number | null> = { leader: null, helper: null };
  for (const pair of pairs)
    for (const role of ROLES)
      if (pair[role] !== null) sum[role] = (sum[role] ?? 0) + (pair[role] ?? 0);
  return sum;
}

/** Refused reports by reason, leader and helper beside each other. */
export function rejected(status: Status): HTMLElement {
  const found = [...totals(status, tasksOf(status))].sort(
    ([, a], [, b]) => (b.leader ?? 0) + (b.helper ?? 0) - (a.leader ?? 0) - (a.helper ?? 0),
  );
  if (found.length === 0) return section("rejected", t.rejected, empty(t.rejectedNone));
  const unit = (role: string): string => `${role}, ${t.reportsUnit}`;
  const rows = found.map(([reason, pair]) => row(t.reasons[reason] ?? reason, reason, pair));
  rows.push(row(t.total, null, whole(found.map(([, pair]) => pair))));
  rows.at(-1)?.classList.add("total");
  return section(
    "rejected",
    t.rejected,
    table(
      t.rejected,
      [
        { name: t.reason },
        { name: unit(t.leader), number: true },
        { name: unit(t.helper), number: true },
        { name: unit(t.difference), number: true },
      ],
      rows,
    ),
    note(t.rejectedNote),
  );
}
