/** What the shop's other tabs do to this worker. */

import type { Consent } from "./consent.js";
import { drop } from "./forget.js";
import { replay, type TimedEvent } from "./journal.js";
import type { Loaded } from "./loaded.js";
import type { Decision, TabsHost } from "./tabs.js";
import type { Change } from "./types.js";

/** The parts of the worker that are touched. */
export interface Worker {
  need(): Loaded;
  /** Whether this may be done now. */
  may(what: Exclude<Consent, "denied">): boolean;
  /** The shopper agreed to no more than this. */
  lower(consent: "denied" | "device"): void;
  setPaused(paused: boolean): void;
  /** Another tab's click is part of the state now. */
  tookIn(event: TimedEvent): void;
  erase(): Promise<unknown>;
  /** Takes an item out of what came before an agreement. */
  forgetEarly(item_id: string): void;
  snapshot(): Promise<unknown>;
  change(what: Change): void;
  /** The worker's own work, in turn. */
  inTurn(work: () => Promise<unknown>): void;
}

/** See the file's head. */
export function tabsHost(worker: Worker): TabsHost {
  const { need, inTurn, snapshot, change } = worker;
  return {
    model_version: () => need().facts.model_version,
    silent: () => !worker.may("device"),
    decided: (what) => decided(worker, what),
    forgot: (item_id) =>
      inTurn(async () => {
        worker.forgetEarly(item_id);
        // Nothing is learned again here: the other tab sends what it learned.
        if ((await drop(need(), item_id)).removed > 0) need().saver.touch();
        await snapshot();
        change("forgotten");
      }),
    clicked: (event, applied) =>
      inTurn(async () => {
        await need().devices.serve((engine) => engine.track(...event));
        applied();
        worker.tookIn(event);
        need().saver.touch();
        change("session");
      }),
    adopt: (state, lacking) =>
      inTurn(async () => {
        const events = lacking();
        await need().devices.serve((engine) => replay(engine, state, events));
        // What was owed here, the other tab has learned.
        if (events.length === 0) need().loop.clear();
        await snapshot();
        // The tab that sent it may be gone before it wrote.
        need().saver.touch();
        change("session");
      }),
    share: (send) =>
      inTurn(async () => send(await need().devices.serve((engine) => engine.exportState()))),
  };
}

function decided(worker: Worker, what: Decision): void {
  const { need, inTurn, snapshot, change } = worker;
  const { saver, loop } = need();
  if (what === "paused" || what === "resumed") {
    if (what === "paused") loop.clear();
    worker.setPaused(what === "paused");
    return change(what);
  }
  if (what === "device") {
    if (!worker.may("device+sync")) return;
    worker.lower(what);
    return inTurn(() => need().sync.withdraw());
  }
  if (what === "denied") {
    if (!worker.may("device")) return;
    worker.lower(what);
    return inTurn(async () => {
      await worker.erase();
      await snapshot();
      change("erased");
    });
  }
  loop.clear();
  // Otherwise this tab's next write would bring back what the shopper deleted in the other.
  inTurn(async () => {
    const { devices, pristine, sync } = need();
    saver.erased();
    await devices.serve((engine) => engine.importState(pristine));
    devices.reset(pristine);
    await sync.withdraw().catch(() => undefined);
    await snapshot();
    change("erased");
  });
}
