/**
 * Oblivious HTTP (RFC 9458): a request to an aggregator goes sealed through a relay of another party, which sees an
 * address and ciphertext, to the aggregator's gateway, which sees the request and the relay's address.
 */

import type { Assets } from "./assets.js";
import { fail } from "./errors.js";
import type { RelayConfig } from "./protocol.js";
import { syncModule } from "./sync-module.js";
import { Blocked, get, LIMIT, QUIET, read, refusal, retryAfter, type Way } from "./sync-net.js";

/** What sealing adds to the longest answer, at most. */
const OVERHEAD = 4_096;

/**
 * The way to one aggregator through a relay. An answer is the aggregator's own, as if it had been asked directly. Sealed
 * anew at every call; the keys are asked for every time, so that a change of them is noticed.
 *
 * It throws `RELAY_MISMATCH` where the keys are not those that the page names; whatever else a relay answers is no word of
 * the aggregator's, and a reason to come again.
 */
export function through(relay: RelayConfig, assets: Assets): Way {
  return async (url, { method = "GET", headers, body, signal }) => {
    const { Exchange } = await syncModule(assets);
    const keys = await get(`${relay.url}ohttp-keys`, signal);
    if (keys === null) throw fail("NETWORK", `${relay.url}: there are no ohttp-keys`);
    const media = headers?.["Content-Type"] ?? "";
    const exchange = Exchange.seal(keys, relay.keys, method, url, media, body ?? new Uint8Array());
    try {
      const response = await fetch(relay.url, {
        ...QUIET,
        cache: "no-store",
        method: "POST",
        headers: { "Content-Type": "message/ohttp-req" },
        body: exchange.message() as Uint8Array<ArrayBuffer>,
        signal,
      });
      if (!response.ok) throw new Blocked(await refusal("relay", response), retryAfter(response));
      const status = exchange.open(await read(response, LIMIT + OVERHEAD));
      // As `QUIET` says.
      if (status >= 300 && status < 400) throw new Error(`${url}: redirects are not followed`);
      const content = exchange.content() as Uint8Array<ArrayBuffer>;
      const answer = new Response(content.length > 0 ? content : null, { status });
      // No other header of an answer is read.
      answer.headers.set("Retry-After", exchange.header("retry-after") ?? "");
      return answer;
    } finally {
      exchange.free();
    }
  };
}
