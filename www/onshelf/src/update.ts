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
  const { config, facts, devices, log } = loaded;
  // A refused one is looked at again, even if it is still the newest: its log may have been late.
  if (log.state !== "refused" && (await isNewest(config.model, facts.model_digest))) {
    return { model_version: facts.model_version, changed: false };
  }
  const cpu = await openEngine("cpu", config.assets, 0);
  let taken = false;
  try {
    let known = log.state;
    const next = await loadModel(cpu, config, undefined, async () => {
      known = await log.approve(cpu, config.log === "required");
    });
    const { model_version } = next;
    if (model_version === facts.model_version) {
      log.adopt(known);
      return { model_version, changed: false };
    }
    const pristine = cpu.exportState();
    await host.queue.own(async () => {
      if (loaded.devices !== devices) throw fail("ABORTED", "another update was faster");
      cpu.importState(await devices.serve((engine) => engine.exportState()));
      const { kind } = devices;
      const renewed = new Devices(host, cpu, next);
      Object.assign(loaded, { facts: next, pristine, devices: renewed });
      log.adopt(known);
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

/**
 * Whether the address still gives the version that serves; asks the server, whatever a cache says. Most looks end here,
 * without a second engine.
 *
 * @throws OnshelfError `NETWORK`
 */
async function isNewest(address: string, digest: string): Promise<boolean> {
  let response: Response;
  try {
    response = await fetch(address, { cache: "no-cache" });
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause);
    throw fail("NETWORK", `${address}: ${what}`, cause);
  }
  try {
    const { payload } = (await response.json()) as { payload: string };
    const bytes = Uint8Array.from(atob(payload), (digit) => digit.charCodeAt(0));
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("") === digest;
  } catch {
    // No manifest, or no secure context: whoever loads it finds out.
    return false;
  }
}
