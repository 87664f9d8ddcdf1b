/**
 * A stand-in for the sync module: a task is JSON with `facts`, the configurations it commits to as text, and
 * `error`, a code that its check fails with. A report is JSON, too.
 */

const decode = (bytes) => new TextDecoder().decode(bytes);

const coded = (code) => Object.assign(new Error(`fake ${code}`), { code });

export default async function start({ module_or_path }) {
  // As the real one: a module that is not there cannot be started.
  const response = await fetch(module_or_path);
  if (!response.ok) throw new Error(`status ${response.status}`);
}

export class SyncTask {
  #task;

  static verify(envelope, publicKeys) {
    const task = JSON.parse(decode(envelope));
    if (publicKeys.length === 0) throw coded("UNTRUSTED_KEY");
    if (task.error !== undefined) throw coded(task.error);
    const verified = new SyncTask();
    verified.#task = task;
    return verified;
  }

  /** A log is text; what was seen must be its beginning. */
  checkLog(log, publicKeys, seen) {
    const text = decode(log);
    if (publicKeys.length === 0 || !text.startsWith(seen)) throw coded("LOG_INVALID");
    return text;
  }

  facts() {
    return this.#task.facts;
  }

  checkConfig(role, list) {
    if (decode(list) !== this.#task[role]) throw coded("HPKE_MISMATCH");
  }

  seal(delta, now_s) {
    const nonce = crypto.randomUUID();
    const text = JSON.stringify({ nonce, delta: [...delta], now_s });
    return new TextEncoder().encode(text);
  }

  free() {
    this.#task = null;
  }
}

/**
 * A stand-in for oblivious HTTP: base64 of JSON, with a nonce that the answer has to repeat. The hash of keys is what
 * they say themselves.
 */
export class Exchange {
  #nonce = crypto.randomUUID();
  #message;
  #answer;

  static seal(keys, hash, method, url, media, content) {
    if (decode(keys) !== hash) throw coded("RELAY_MISMATCH");
    const exchange = new Exchange();
    const inner = { nonce: exchange.#nonce, method, url, media, content: decode(content) };
    exchange.#message = new TextEncoder().encode(btoa(JSON.stringify(inner)));
    return exchange;
  }

  message() {
    return this.#message;
  }

  open(answer) {
    this.#answer = JSON.parse(atob(decode(answer)));
    if (this.#answer.nonce !== this.#nonce) throw coded("NETWORK");
    return this.#answer.status;
  }

  header(wanted) {
    return this.#answer.headers.find(([name]) => name === wanted)?.[1];
  }

  content() {
    return new TextEncoder().encode(this.#answer.content);
  }

  free() {
    this.#nonce = null;
  }
}
