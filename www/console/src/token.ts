/** The operator's token: for this tab only, and never in an address that is kept. */

const KEY = "onshelf-console.token";

/** Blocked storage only means that a reload asks for the token again. */
function quietly<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null;
  }
}

/** The token from `#token=…`, which is taken out of the address and of the tab's history entry. */
function fromAddress(): string | null {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token === null) return null;
  history.replaceState(null, "", location.pathname + location.search);
  return token === "" ? null : token;
}

export function readToken(): string | null {
  const given = fromAddress();
  if (given !== null) keepToken(given);
  return given ?? quietly(() => sessionStorage.getItem(KEY));
}

export function keepToken(token: string): void {
  quietly(() => sessionStorage.setItem(KEY, token));
}

export function dropToken(): void {
  quietly(() => sessionStorage.removeItem(KEY));
}
