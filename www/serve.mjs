#!/usr/bin/env node
/**
 * A static server for the demo and the tests: folders mounted under prefixes, on this machine
 * only.
 *
 *     node www/serve.mjs --port 8080 /=dist/shop /onshelf/=dist/onshelf /models/=data/models
 *
 * With `--log` it also answers `/onshelf-log.json`: what it was asked since it started, so that a
 * page can show what a server gets to know.
 */

import { createServer } from "node:http";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import sirv from "sirv";

/** A file whose name carries at least 16 hexadecimal digits of its hash never changes. */
const CONTENT_ADDRESSED = /(^|[/._-])[0-9a-f]{16,}([._-][^/]*)?$/i;

/** What sirv's table of types lacks or leaves to chance. */
const TYPES = [
  [/\.wasm$/, "application/wasm"],
  [/\.m?js$/, "text/javascript; charset=utf-8"],
  [/\.safetensors$/, "application/octet-stream"],
];

/** Where the list of requests is. */
const LOG = "/onshelf-log.json";
/** How many different requests are told apart; more are only counted. */
const MOST_LOGGED = 1000;

/**
 * Notes everything that a request brings along but its headers: under which name the server was
 * asked, how, for what (the query included), and whether something was sent.
 */
function accessLog() {
  const rows = new Map();
  let requests = 0;
  let bodies = 0;
  return {
    note({ method, url, headers }) {
      requests++;
      const sent = headers["transfer-encoding"] !== undefined || headers["content-length"] > 0;
      if (sent) bodies++;
      const host = (headers.host ?? "").replace(/:\d+$/, "");
      const key = JSON.stringify([method, url, host]);
      const row = rows.get(key) ?? { method, path: url, host, count: 0 };
      row.count++;
      if (rows.size < MOST_LOGGED) rows.set(key, row);
    },
    answer(response) {
      response.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-store" });
      response.end(JSON.stringify({ requests, bodies, rows: [...rows.values()] }));
    },
  };
}

function setHeaders(response, pathname) {
  const file = pathname.split("?")[0];
  const immutable = CONTENT_ADDRESSED.test(file);
  response.setHeader(
    "Cache-Control",
    immutable ? "public, max-age=31536000, immutable" : "no-cache",
  );
  response.setHeader("X-Content-Type-Options", "nosniff");
  for (const [pattern, type] of TYPES) {
    if (pattern.test(file)) response.setHeader("Content-Type", type);
  }
}

/**
 * Starts a server on 127.0.0.1.
 *
 * @param {object} options
 * @param {number} [options.port] 0 (default) takes a free one
 * @param {Record<string, string>} options.mounts folder by prefix; the longest prefix that fits
 *   serves, and one that lacks a file answers 404
 * @param {(request, response) => boolean} [options.intercept] returns true where it answered
 *   itself; for tests that want a slow or broken answer
 * @param {boolean} [options.log] answers `/onshelf-log.json` with what was asked, itself left out
 * @returns {Promise<{ url: string, port: number, close: () => Promise<void> }>} `url` ends
 *   without a slash
 */
export async function startServer({ port = 0, mounts, intercept, log = false }) {
  const seen = log ? accessLog() : null;
  const routes = Object.entries(mounts)
    .map(([prefix, folder]) => [
      prefix.endsWith("/") ? prefix : `${prefix}/`,
      // `dev` reads folders at every request, so files may be built while it runs.
      // A file with a `.gz` beside it is sent as that.
      sirv(resolve(folder), { dev: true, etag: true, gzip: true, setHeaders }),
    ])
    .sort(([a], [b]) => b.length - a.length);
  const server = createServer((request, response) => {
    const notFound = () => {
      response.writeHead(404, { "Content-Type": "text/plain; charset=utf-8" });
      response.end("not found\n");
    };
    if (seen !== null && request.url === LOG && request.method === "GET") {
      seen.answer(response);
      return;
    }
    seen?.note(request);
    if (intercept?.(request, response)) return;
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { Allow: "GET, HEAD" });
      response.end();
      return;
    }
    const route = routes.find(([prefix]) => request.url.startsWith(prefix));
    if (route === undefined) return notFound();
    // A prefix is not part of the path inside its folder.
    request.url = request.url.slice(route[0].length - 1);
    route[1](request, response, notFound);
  });
  await new Promise((done, failed) => {
    server.once("error", failed);
    server.listen(port, "127.0.0.1", done);
  });
  const taken = server.address().port;
  return {
    url: `http://localhost:${taken}`,
    port: taken,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

function parse(args) {
  const mounts = {};
  let port = 0;
  let log = false;
  for (let at = 0; at < args.length; at++) {
    const [prefix, folder] = args[at].split(/=(.*)/s);
    if (prefix === "--port") port = Number(folder ?? args[++at]);
    else if (args[at] === "--log") log = true;
    else if (prefix.startsWith("/") && folder) mounts[prefix] = folder;
    else throw new Error(`expected --port N, --log or /PREFIX=FOLDER, not ${args[at]}`);
  }
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error("--port: 0 to 65535");
  if (Object.keys(mounts).length === 0) throw new Error("nothing to serve: /PREFIX=FOLDER");
  return { port, mounts, log };
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    const server = await startServer(parse(process.argv.slice(2)));
    console.log(`listening on ${server.url}`);
    const stop = () => server.close().then(() => process.exit(0));
    process.once("SIGINT", stop);
    process.once("SIGTERM", stop);
  } catch (error) {
    console.error(`serve: ${error.message}`);
    process.exitCode = 2;
  }
}
