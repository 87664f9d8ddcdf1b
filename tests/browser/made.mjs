/** Model versions made here, with Node's own Ed25519 and SHA-256, from the one that `build.sh` trained. */

import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { MODEL } from "./real.mjs";
import { KEY, seal } from "./signing.mjs";
import { versionLog } from "./tasks.mjs";

export { KEY };

const TYPE = "application/vnd.onshelf.model-version+json";
/** Where {@link publish} writes; to be mounted at `/made/`. */
export const folder = mkdtempSync(join(tmpdir(), "onshelf-models-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const envelope = JSON.parse(readFileSync(join(MODEL, "models/latest.json"), "utf8"));
/** What `build.sh` published says of itself. */
export const manifest = JSON.parse(Buffer.from(envelope.payload, "base64").toString("utf8"));
/** The content of one of its files. */
export const blob = (role) =>
  readFileSync(join(MODEL, "models", manifest.files.find((f) => f.role === role).path));

/** Signs a manifest. */
export const signed = (payload, type = TYPE) => seal(payload, type);

const published = new Map();

/** Writes a model version with changed parts, named in its log, and gives its manifest's address. */
export function publish(name, { change = (m) => m, weights, catalogue, seal = signed } = {}) {
  const home = join(folder, name);
  mkdirSync(join(home, "blobs"), { recursive: true });
  cpSync(join(MODEL, "models/blobs"), join(home, "blobs"), { recursive: true });
  const files = manifest.files.map((file) => {
    const content = { weights, catalogue }[file.role];
    if (content === undefined) return file;
    const sha256 = createHash("sha256").update(content).digest("hex");
    const path = `blobs/${sha256}.${file.path.split(".").pop()}`;
    writeFileSync(join(home, path), content);
    return { ...file, path, sha256, bytes: content.length };
  });
  const envelope = seal(change({ ...manifest, files }));
  const digest = createHash("sha256")
    .update(envelope.payload ?? "", "base64")
    .digest("hex");
  published.set(name, [...(published.get(name) ?? []), digest]);
  writeFileSync(join(home, "versions.log"), versionLog(published.get(name)));
  writeFileSync(join(home, "latest.json"), JSON.stringify(envelope));
  return `/made/${name}/latest.json`;
}

/** Weights with other numbers in a tensor of f32. */
export function withTensor(weights, name, change) {
  const out = Buffer.from(weights);
  const length = Number(out.readBigUInt64LE(0));
  const about = JSON.parse(out.subarray(8, 8 + length).toString("utf8"))[name];
  if (about?.dtype !== "F32") throw new Error(`${name} is ${about?.dtype}, not F32`);
  const [from, to] = about.data_offsets.map((at) => 8 + length + at);
  for (let at = from; at < to; at += 4) out.writeFloatLE(change(out.readFloatLE(at)), at);
  return out;
}
