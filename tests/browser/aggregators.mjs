/**
 * A leader and a helper for tests of sync: what they were asked is kept, what they answer can be chosen; and a site for
 * tests with real ones.
 */

/** The folder below which they answer, on the site of the test. */
const PREFIX = "/round/";

/**
 * Makes them; `intercept` goes into `browserSuite`.
 *
 * `reset({ task, log, leader, helper, answer })` before each test: the bodies of `task.json` and `versions.log`
 * (`null`: there is none), the lists of HPKE configurations, and `answer(number)`: the status for the so-manieth upload, or a promise of it
 * (0: the connection is cut).
 */
export function aggregators() {
  const state = { uploads: [], requests: [], closed: 0 };
  let about = {};
  const reply = (response, status, body = "", type = "application/octet-stream") => {
    response.writeHead(status, { "Content-Type": type, "Cache-Control": "no-store" });
    response.end(body);
  };
  const upload = async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    const { url, headers } = request;
    const number = state.uploads.push({ path: url, headers, body });
    let done = false;
    response.on("close", () => (state.closed += done ? 0 : 1));
    const status = await about.answer(number);
    done = true;
    if (status === 0) return response.destroy();
    const problem = { type: "urn:ietf:params:ppm:dap:error:invalidMessage", status };
    reply(
      response,
      status,
      status < 400 ? "" : JSON.stringify(problem),
      "application/problem+json",
    );
  };
  return {
    state,
    reset(changes = {}) {
      Object.assign(state, { uploads: [], requests: [], closed: 0 });
      const lists = { leader: "leader", helper: "helper", log: "log" };
      about = { task: null, ...lists, answer: () => 201, ...changes };
    },
    /** Changes some of the answers meanwhile. */
    change: (changes) => Object.assign(about, changes),
    intercept(request, response) {
      const { pathname } = new URL(request.url, "http://localhost");
      if (!pathname.startsWith(PREFIX)) return false;
      state.requests.push(`${request.method} ${pathname}`);
      const path = pathname.slice(PREFIX.length);
      if (path === "task.json" || path.startsWith("tasks/")) {
        if (about.task === null) reply(response, 404);
        else reply(response, 200, about.task);
      } else if (path === "versions.log") {
        if (about.log === null) reply(response, 404);
        else reply(response, 200, about.log);
      } else if (path === "leader/hpke_config") reply(response, 200, about.leader);
      else if (path === "helper/hpke_config") reply(response, 200, about.helper);
      else if (request.method === "PUT") void upload(request, response).catch(() => undefined);
      else reply(response, 404);
      return true;
    },
  };
}

/**
 * For tests whose aggregators are elsewhere: `/open.html`, a page without the strict policy, since a shop allows its
 * aggregators' origins, and JSON files at chosen paths (`offer`). `intercept` goes into `browserSuite`.
 */
export function openSite() {
  const offered = new Map();
  const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>open</title>
<script type="module" src="/test-page.js"></script></html>`;
  return {
    offer(files) {
      for (const [path, content] of Object.entries(files)) offered.set(path, content);
    },
    intercept(request, response) {
      const blank = request.url === "/open.html";
      const content = blank ? page : offered.get(request.url);
      if (content === undefined) return false;
      const type = blank ? "text/html; charset=utf-8" : "application/json";
      response.writeHead(200, { "Content-Type": type });
      response.end(content);
      return true;
    },
  };
}
