/**
 * Relays before the aggregators of `aggregators.mjs`, with their gateways in one, for the fake sync module: what they were
 * sent is kept, and what they answer can be chosen.
 */

/** The hash that the keys of these gateways have. */
export const HASH = "a1".repeat(32);

/** What a page says of them: with and without a slash at the end, in capitals and not. */
export const RELAY = {
  leader: { url: "/relay/leader", keys: HASH.toUpperCase() },
  helper: { url: "/relay/helper/", keys: HASH },
};

const PATH = /^\/relay\/(leader|helper)\/(ohttp-keys)?$/;

/**
 * Makes them around aggregators; `intercept` goes into `browserSuite` in place of theirs.
 *
 * `reset({ keys, before, outer, inner })` before each test: the key configurations of both; `before(number)` is awaited
 * before the so-manieth answer to a request for keys; `outer(number)` gives `{ status, after, type }` for the so-manieth
 * upload, or a promise of it (0: the connection is cut amid the answer); `inner(answer)` gives what is sealed instead of the aggregator's
 * `{ nonce, status, headers, content }`.
 */
export function relays(round) {
  const state = {};
  let about = {};
  const reply = (response, status, headers, body) => {
    response.writeHead(status, { "Cache-Control": "no-store", ...headers });
    response.end(body);
  };
  const keys = async (role, response) => {
    await about.before(state.keys.push(role));
    reply(response, 200, { "Content-Type": "application/ohttp-keys" }, about.keys[role]);
  };
  const exchange = async (role, request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts).toString();
    const { nonce, method, url, media, content } = JSON.parse(atob(body));
    const { headers } = request;
    state.posts.push({ role, method, path: new URL(url).pathname, headers, body });
    const uploads = state.posts.filter((post) => post.method === "PUT").length;
    const outer = method === "PUT" ? await about.outer(uploads) : { status: 200 };
    if (outer.status === 0) {
      // After a part of it: where nothing came at all a browser asks once more by itself.
      response.writeHead(200, { "Content-Length": 100 });
      return response.write("x", () => response.destroy());
    }
    if (outer.status !== 200) {
      const more = outer.after === undefined ? {} : { "Retry-After": outer.after };
      const problem = JSON.stringify({ type: outer.type ?? "about:blank" });
      return reply(response, outer.status, more, problem);
    }
    const sent = { "x-relayed": "yes", ...(media !== "" && { "Content-Type": media }) };
    const init = { method, headers: sent, ...(content !== "" && { body: content }) };
    const answer = await fetch(url, init);
    const seen = [["content-type", answer.headers.get("content-type")]];
    const opened = { nonce, status: answer.status, headers: seen, content: await answer.text() };
    const sealed = btoa(JSON.stringify(about.inner(opened)));
    reply(response, 200, { "Content-Type": "message/ohttp-res" }, sealed);
  };
  return {
    state,
    reset(changes = {}) {
      Object.assign(state, { direct: [], keys: [], posts: [], closed: 0 });
      const answers = { before: () => {}, outer: () => ({ status: 200 }), inner: (same) => same };
      about = { keys: { leader: HASH, helper: HASH }, ...answers, ...changes };
    },
    /** Changes some of the answers meanwhile. */
    change: (changes) => Object.assign(about, changes),
    intercept(request, response) {
      const { pathname } = new URL(request.url, "http://localhost");
      const [found, role, wanted] = PATH.exec(pathname) ?? [];
      if (found === undefined) {
        const relayed = request.headers["x-relayed"] !== undefined;
        const answered = round.intercept(request, response);
        if (answered && !relayed) state.direct.push(`${request.method} ${pathname}`);
        return answered;
      }
      response.on("close", () => (state.closed += response.writableFinished ? 0 : 1));
      const done = wanted === undefined ? exchange(role, request, response) : keys(role, response);
      done.catch(() => response.destroy());
      return true;
    },
  };
}
