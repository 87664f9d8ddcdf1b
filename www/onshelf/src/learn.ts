/** Fine-tuning step by step, so that the shopper's next request never waits for the last step. */

import type { Engine } from "./engine.js";
import type { FineTuneReport } from "./types.js";

/** How the worker holds the reins of a fine-tuning. */
export interface Reins {
  /** Why to make no further step, or `null`. */
  stop(): string | null;
  /** Lets messages, and readers that wait, come in between two steps. */
  pause(): Promise<void>;
}

/**
 * Runs up to `steps` steps; none begins after `budget_ms` milliseconds, but the first always
 * does. Ends early when the engine's guard rolls one back: the next would be the same again.
 */
export async function fineTune(
  engine: Engine,
  { steps, budget_ms }: { steps: number; budget_ms: number },
  reins: Reins,
): Promise<Omit<FineTuneReport, "took_ms" | "device">> {
  const begin = performance.now();
  const report = { steps: 0, loss_before: 0, loss_after: 0, kept: false };
  while (report.steps < steps) {
    const why = reins.stop();
    if (why !== null) return { ...report, reason: why };
    if (report.steps > 0 && performance.now() - begin >= budget_ms) break;
    const step = await engine.fineTune(1);
    if (report.steps === 0) report.loss_before = step.loss_before;
    if (step.kept || !report.kept) report.loss_after = step.loss_after;
    report.steps += step.steps;
    report.kept ||= step.kept;
    if (!step.kept || step.steps === 0) {
      return step.reason ? { ...report, reason: step.reason } : report;
    }
    await reins.pause();
  }
  return report;
}
