/** Model versions that must be refused. */

import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { browserSuite } from "./harness.mjs";
import { blob, folder, KEY, manifest, publish, signed } from "./made.mjs";
import { engineWorker, KEYS, REAL } from "./real.mjs";

/** Replaces a stored file without telling the manifest. */
function damage(name, role, harm) {
  const address = publish(name);
  const file = join(folder, name, manifest.files.find((f) => f.role === role).path);
  writeFileSync(file, harm(readFileSync(file)));
  // Else the server would send the compressed copy, which is whole.
  rmSync(`${file}.gz`, { force: true });
  return address;
}

const flip = (bytes) => {
  const out = Buffer.from(bytes);
  out[out.length >> 1] ^= 1;
  return out;
};
const json = (content, change) => Buffer.from(JSON.stringify(change(JSON.parse(content))));

const suite = browserSuite("chromium", { ...REAL, mounts: { ...REAL.mounts, "/made/": folder } });

async function load(page, address, keys = [KEY]) {
  const call = await engineWorker(page);
  return call("load", { kind: "cpu", manifest: address, keys });
}

suite.test("a version signed by another implementation loads", async ({ page }) => {
  const loaded = await load(page, publish("good"));
  assert.equal(loaded.device, "cpu", JSON.stringify(loaded));
  assert.equal(loaded.facts.items, manifest.items);
});

suite.test("a manifest of an untrusted key", async ({ page }) => {
  assert.equal((await load(page, publish("untrusted"), KEYS)).code, "UNTRUSTED_KEY");
  assert.equal((await load(page, "/made/untrusted/latest.json", [])).code, "UNTRUSTED_KEY");
  assert.equal(
    (await load(page, "/made/untrusted/latest.json", ["not a key"])).code,
    "UNTRUSTED_KEY",
  );
});

suite.test("a manifest changed after signing", async ({ page }) => {
  const seal = (m) => {
    const envelope = signed(m);
    const payload = Buffer.from(JSON.stringify({ ...m, name: "other" })).toString("base64");
    return { ...envelope, payload };
  };
  assert.equal((await load(page, publish("forged", { seal }))).code, "SIGNATURE_INVALID");
});

suite.test("a newer format", async ({ page }) => {
  const told = await load(page, publish("newer", { change: (m) => ({ ...m, format: 4 }) }));
  assert.equal(told.code, "FORMAT_TOO_NEW");
  assert.match(told.message, /update onshelf/);
});

suite.test("not a manifest, and no manifest", async ({ page }) => {
  assert.equal(
    (await load(page, publish("type", { seal: (m) => signed(m, "text/plain") }))).code,
    "MANIFEST_INVALID",
  );
  assert.equal((await load(page, "/blank.html")).code, "MANIFEST_INVALID");
  page.expectProblem(/404/);
  assert.equal((await load(page, "/made/absent/latest.json")).code, "NETWORK");
});

for (const role of ["weights", "catalogue"]) {
  suite.test(`${role}: truncated, too long, bit-flipped`, async ({ page }) => {
    const short = damage(`short-${role}`, role, (b) => b.subarray(0, b.length - 100));
    assert.equal((await load(page, short)).code, "FILE_TRUNCATED");
    const long = damage(`long-${role}`, role, (b) => Buffer.concat([b, Buffer.from("x")]));
    assert.equal((await load(page, long)).code, "FILE_TRUNCATED");
    const flipped = await load(page, damage(`flip-${role}`, role, flip));
    assert.equal(flipped.code, "HASH_MISMATCH");
    assert.ok(flipped.message.includes(manifest.files.find((f) => f.role === role).path));
  });
}

suite.test("signed, but broken inside", async ({ page }) => {
  const twice = json(blob("catalogue"), (c) => ({
    ...c,
    ids: c.ids.map((id, at) => (at === 5 ? c.ids[2] : id)),
  }));
  const told = await load(page, publish("twice", { catalogue: twice }));
  assert.equal(told.code, "CATALOGUE_INVALID");
  const newer = json(blob("catalogue"), (c) => ({ ...c, format: 9 }));
  assert.equal(
    (await load(page, publish("newer-catalogue", { catalogue: newer }))).code,
    "FORMAT_TOO_NEW",
  );
  const weights = blob("weights").subarray(0, 200);
  assert.equal((await load(page, publish("stub", { weights }))).code, "MANIFEST_INVALID");
  const shape = (m) => ({ ...m, student: { ...m.student, dim: m.student.dim * 2 } });
  assert.equal((await load(page, publish("shape", { change: shape }))).code, "MANIFEST_INVALID");
});
