/** Signs as DSSE says, with Node's own Ed25519 and a key of this process. */

import { generateKeyPairSync, sign } from "node:crypto";

const { privateKey, publicKey } = generateKeyPairSync("ed25519");

/** The key that signs. */
export const KEY = publicKey.export({ format: "der", type: "spki" }).subarray(-32).toString("hex");

/** An envelope around a payload of a media type. */
export function seal(payload, type) {
  const bytes = Buffer.from(JSON.stringify(payload));
  const message = Buffer.concat([
    Buffer.from(`DSSEv1 ${type.length} ${type} ${bytes.length} `),
    bytes,
  ]);
  const sig = sign(null, message, privateKey).toString("base64");
  return {
    payloadType: type,
    payload: bytes.toString("base64"),
    signatures: [{ keyid: KEY, sig }],
  };
}
