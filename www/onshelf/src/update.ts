/** A newer model version: fetched beside the one that serves, and changed over to between two commands. */

import { Devices, type DevicesHost } from "./devices.js";
import { loadModel, openEngine } from "./engine.js";
import { fail } from "./errors.js";
import type { Loaded } from "./loaded.js";
import type { UpdateReport } from "./types.js";

/**
 * @param host of the new devices
 * @param changed called in the job that changes over, right after it
 */
export async function update(
  loaded: Loaded,
  host: DevicesHost,
  changed: () => Promise<void>,
): Promise<UpdateReport> {
  const { config, facts, devices } = loaded;
  const cpu = await openEngine("cpu", config.assets, 0);
  let taken = false;
  try {
    const next = await loadModel(cpu, config);
    const { model_version } = next;
    if (model_version === facts.model_version) return { model_version, changed: false };
    const pristine = cpu.exportState();
    await host.queue.own(async () => {
      if (loaded.devices !== devices) throw fail("ABORTED", "another update was faster");
      cpu.importState(await devices.serve((engine) => engine.exportState()));
      const { kind } = devices;
      const renewed = new Devices(host, cpu, next);
      Object.assign(loaded, { facts: next, pristine, devices: renewed });
      taken = true;
      devices.free();
      await changed();
      if (kind === "webgpu") void renewed.set(kind).catch(() => undefined);
    });
    return { model_version, changed: true };
  } finally {
    if (!taken) cpu.free();
  }
}
