/** Everything that the worker knows and shows. */

import type { Loaded } from "./loaded.js";
import type { Methods } from "./protocol.js";

type Result = Methods["inspect"]["result"];

/** What only the host knows. */
interface Known extends Pick<
  Result,
  "paused" | "last_rank_ms" | "last_learn_ms" | "looked_for_update"
> {
  /** Whether the shopper agreed to have anything kept. */
  keeps: boolean;
}

/** To be called in a job of the queue. */
export async function inspect(
  { config, devices, saver, loop, sync, log }: Loaded,
  { keeps, ...known }: Known,
): Promise<Result> {
  // Steps a click and the model's hash are between engine and worker.
  const {
    steps_per_click: _,
    model_digest: __,
    ...facts
  } = await devices.serve((engine) => engine.inspect());
  return {
    ...facts,
    device: devices.kind,
    adapter: devices.adapter,
    learning: config.learning,
    waits_for: config.learning === "idle" ? loop.waits : null,
    ...known,
    stored_bytes: saver.bytes,
    storage: keeps ? saver.status : "none",
    version_log: log.state,
    sync: await sync.inspect(),
  };
}
