/** What the page sees of its surroundings: whether anybody looks, and whether the device is to be spared. */

import type { Conditions } from "./protocol.js";

/** Below this share a battery that does not charge is spared. */
const LOW_BATTERY = 0.2;

/** Parts that not every browser has, and TypeScript's library does not know. */
interface Sparing {
  connection?: EventTarget & { saveData?: boolean };
  getBattery?(): Promise<EventTarget & { charging: boolean; level: number }>;
}

/**
 * Tells how things stand, now where they are not as a worker takes them to be, and at every change.
 *
 * @returns stops telling
 */
export function watchSurroundings(tell: (conditions: Conditions) => void): () => void {
  const { connection, getBattery } = navigator as Sparing;
  const over = new AbortController();
  let battery: Awaited<ReturnType<NonNullable<Sparing["getBattery"]>>> | null = null;
  const isLow = () => battery !== null && !battery.charging && battery.level < LOW_BATTERY;
  const look = () =>
    tell({
      hidden: document.visibilityState === "hidden",
      saving: connection?.saveData === true || isLow(),
    });
  const { signal } = over;
  document.addEventListener("visibilitychange", look, { signal });
  connection?.addEventListener?.("change", look, { signal });
  if (connection?.saveData === true) look();
  getBattery?.call(navigator).then(
    (found) => {
      battery = found;
      for (const event of ["levelchange", "chargingchange"]) {
        found.addEventListener(event, look, { signal });
      }
      if (isLow() && !signal.aborted) look();
    },
    () => undefined,
  );
  return () => over.abort();
}
