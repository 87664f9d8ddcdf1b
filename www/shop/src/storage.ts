/** localStorage that never throws: private windows and blocked storage only lose the memory, not the shop. */

const PREFIX = "onshelf-shop.";

export function readStored(key: string): string | null {
  try {
    return localStorage.getItem(PREFIX + key);
  } catch {
    return null;
  }
}

export function writeStored(key: string, value: string): void {
  try {
    localStorage.setItem(PREFIX + key, value);
  } catch {
    // Nothing to do: the choice simply lasts until the page is closed.
  }
}
