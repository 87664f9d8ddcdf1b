/** The static server: types, caching, mounts and its command line. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startServer } from "../../www/serve.mjs";
import { ROOT } from "./harness.mjs";

const HASH = "0123456789abcdef0123456789abcdef";
let folder;
let server;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "onshelf-serve-"));
  for (const name of ["shop", "models"]) await mkdir(join(folder, name));
  await writeFile(join(folder, "shop/index.html"), "<!doctype html>shop");
  await writeFile(join(folder, "shop/a.wasm"), "wasm");
  await writeFile(join(folder, `models/${HASH}.safetensors`), "weights");
  await writeFile(join(folder, "models/manifest.json"), "{}");
  await writeFile(join(folder, "secret.txt"), "secret");
  const mounts = { "/": join(folder, "shop"), "/models/": join(folder, "models") };
  server = await startServer({ mounts });
});

after(async () => {
  await server?.close();
  await rm(folder, { recursive: true, force: true });
});

test("serve: types and caching", async () => {
  const expected = {
    "/": ["text/html;charset=utf-8", "no-cache"],
    "/a.wasm": ["application/wasm", "no-cache"],
    "/a.wasm?v=1": ["application/wasm", "no-cache"],
    "/models/manifest.json": ["application/json", "no-cache"],
    [`/models/${HASH}.safetensors`]: [
      "application/octet-stream",
      "public, max-age=31536000, immutable",
    ],
  };
  for (const [path, headers] of Object.entries(expected)) {
    const response = await fetch(server.url + path);
    assert.equal(response.status, 200, path);
    const found = ["content-type", "cache-control"].map((name) => response.headers.get(name));
    assert.deepEqual(found, headers, path);
  }
});

test("serve: a file that did not change is not sent again", async () => {
  const first = await fetch(`${server.url}/a.wasm`);
  const headers = { "if-none-match": first.headers.get("etag") };
  assert.equal((await fetch(`${server.url}/a.wasm`, { headers })).status, 304);
});

test("serve: nothing outside the mounts, nothing but reading", async () => {
  for (const path of ["/none.js", "/models/none", "/%2e%2e/secret.txt", "/..%2fsecret.txt"]) {
    assert.equal((await fetch(server.url + path)).status, 404, path);
  }
  assert.equal((await fetch(server.url, { method: "POST" })).status, 405);
});

test("serve: a list of what was asked, only where it was wished for", async () => {
  assert.equal((await fetch(`${server.url}/onshelf-log.json`)).status, 404);
  const mounts = { "/": join(folder, "shop") };
  const open = await startServer({ mounts, log: true });
  try {
    await fetch(`${open.url}/a.wasm?q=1`);
    await fetch(`${open.url}/a.wasm?q=1`);
    await fetch(`http://127.0.0.1:${open.port}/none`, { method: "POST", body: "hello" });
    const read = async () => (await fetch(`${open.url}/onshelf-log.json`)).json();
    await read();
    assert.deepEqual(await read(), {
      requests: 3,
      bodies: 1,
      rows: [
        { method: "GET", path: "/a.wasm?q=1", host: "localhost", count: 2 },
        { method: "POST", path: "/none", host: "127.0.0.1", count: 1 },
      ],
    });
  } finally {
    await open.close();
  }
});

test("serve: the command line says where it listens, and refuses nonsense", async () => {
  const script = join(ROOT, "www/serve.mjs");
  const child = spawn(process.execPath, [script, "--port", "0", `/=${join(folder, "shop")}`]);
  try {
    const line = await new Promise((done) => child.stdout.once("data", (d) => done(String(d))));
    const url = /^listening on (http:\/\/localhost:\d+)\n$/.exec(line)?.[1];
    assert.equal(await (await fetch(url)).text(), "<!doctype html>shop");
  } finally {
    child.kill();
  }
  const wrong = spawn(process.execPath, [script, "--port", "x", "/=."]);
  assert.equal(await new Promise((done) => wrong.once("exit", done)), 2);
});
