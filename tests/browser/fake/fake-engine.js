/**
 * A stand-in for the WebAssembly engine, in plain JavaScript and without chance, for tests of
 * what is around it. Switches are read from the query of the manifest's address:
 *
 * | switch | effect |
 * | --- | --- |
 * | `panic_item=ID` | tracking ID throws with code PANIC |
 * | `trap_item=ID` | … throws a WebAssembly.RuntimeError |
 * | `oom_item=ID` | … throws the RangeError of a memory that cannot grow |
 * | `hang_item=ID` | … never returns |
 * | `times=N` | only the first N of those, over all workers of one server (default: always) |
 * | `panic_on=METHOD` | load, restore, save, fineTune, recommend or exportAfterErase throws PANIC (`times`) |
 * | `load_error=CODE` | load throws this code |
 * | `storage=full`, `storage=unavailable` | save (and restore, erase where unavailable) throws |
 * | `restore=CODE` | restore throws this code |
 * | `rank_ms=N`, `step_ms=N` | a ranking, a step takes that long |
 * | `gpu_rank_ms=N` | a ranking on WebGPU takes that long |
 * | `gpu=METHOD:CODE` | METHOD on WebGPU throws CODE; recommend only for the page's own slots |
 * | `gpu=wrong` | WebGPU ranks backwards |
 * | `adapter=none`, `adapter=real`, `adapter=fallback` | what requestAdapter gives |
 * | `versions=N` | the first N loads give versions fake-1 … fake-N, later ones fake-N |
 * | `update_error=CODE` | every load after the first throws this code |
 * | `digest=HEX` | what it says is the hash of its manifest |
 * | `roll_back_at=N` | the Nth step of an engine's life is rolled back by the guard |
 *
 * Any overlap of two calls throws, as the real one does. Items are `item-0` … `item-999`.
 */

const ITEMS = 1000;
const NOTICES = new Set(["view_item_list", "view_cart", "begin_checkout", "refund"]);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

function coded(code, message = `fake ${code}`) {
  return Object.assign(new Error(message), { code, remedy: `remedy of ${code}` });
}

/** Counts over all workers; a synchronous request is the one memory that outlives a worker. */
function countedBelow(switches, name) {
  const times = switches.get("times");
  return times === null || counted(name) <= Number(times);
}

function counted(name) {
  const request = new XMLHttpRequest();
  request.open("GET", `/fake-count?name=${name}`, false);
  request.send();
  return Number(request.responseText);
}

function wait(ms) {
  return ms > 0 ? new Promise((done) => setTimeout(done, ms)) : Promise.resolve();
}

function database() {
  return new Promise((done, failed) => {
    const request = indexedDB.open("onshelf-fake", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("state");
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
}

async function stored(mode, use) {
  const db = await database();
  const transaction = db.transaction("state", mode);
  const request = use(transaction.objectStore("state"));
  await new Promise((done, failed) => {
    transaction.oncomplete = done;
    transaction.onerror = () => failed(transaction.error);
  });
  db.close();
  return request.result;
}

function patchAdapter(kind) {
  if (kind === null) return;
  const adapter = kind === "none" ? null : { info: { isFallbackAdapter: kind === "fallback" } };
  Object.defineProperty(navigator, "gpu", {
    configurable: true,
    value: { requestAdapter: async () => adapter },
  });
}

/** The class that both modules export. */
export function fakeEngine(kind) {
  return class Engine {
    #switches = new URLSearchParams();
    #busy = false;
    #calls = 0;
    #erased = false;
    #state = { session: [], steps: 0, weights: {} };
    #version = "fake-1";
    #strategy = "none";

    static async create() {
      return new Engine();
    }

    device() {
      return kind;
    }

    adapter() {
      return kind === "cpu" ? null : { name: "fake adapter", fallback: false };
    }

    async load(manifestUrl, publicKeys, onProgress) {
      return this.#alone(async () => {
        this.#switches = new URL(manifestUrl).searchParams;
        if (kind === "cpu") patchAdapter(this.#switches.get("adapter"));
        if (publicKeys.length === 0) throw coded("UNTRUSTED_KEY");
        const error = this.#switches.get("load_error");
        if (error !== null) throw coded(error);
        await wait(Number(this.#switches.get("load_ms")));
        if (this.#switches.has("versions") || this.#switches.has("update_error")) {
          const load = counted("load");
          const code = this.#switches.get("update_error");
          if (code !== null && load > 1) throw coded(code);
          this.#version = `fake-${Math.min(load, Number(this.#switches.get("versions")) || 1)}`;
        }
        this.#maybePanic("load");
        this.#maybeLose("load");
        for (const stage of ["manifest", "verify", "weights", "catalogue"]) onProgress(stage, 1, 1);
        return this.#facts();
      });
    }

    setStrategy(strategy) {
      this.#aloneNow(() => {
        this.#strategy = strategy;
      });
    }

    track(event) {
      return this.#aloneNow(() => {
        const { item_id } = event;
        if (this.#hit("panic_item", item_id)) throw coded("PANIC");
        if (this.#hit("trap_item", item_id)) throw new WebAssembly.RuntimeError("unreachable");
        if (this.#hit("oom_item", item_id)) throw new RangeError("Out of memory");
        if (this.#hit("hang_item", item_id)) for (;;);
        const { session } = this.#state;
        const session_length = session.length;
        if (item_id === undefined || NOTICES.has(event.event)) {
          return { accepted: false, reason: "not_an_item_event", session_length };
        }
        if (this.#index(item_id) === null) {
          return { accepted: false, reason: "unknown_item", session_length };
        }
        session.push({ item_id, event: event.event });
        return { accepted: true, session_length: session.length };
      });
    }

    async recommend(request) {
      return this.#alone(async () => {
        await wait(Number(this.#switches.get(kind === "cpu" ? "rank_ms" : "gpu_rank_ms")));
        this.#maybePanic("recommend");
        if (request.slot !== "onshelf-probe") this.#maybeLose("recommend");
        if (request.item_id !== undefined && this.#index(request.item_id) === null) {
          throw coded("UNKNOWN_ITEM");
        }
        const last = this.#state.session.at(-1);
        const personal = request.kind !== "popular" && last !== undefined;
        const from = personal ? this.#index(last.item_id) : 0;
        const wrong = kind === "webgpu" && this.#switches.get("gpu") === "wrong";
        const count = request.count ?? 10;
        const items = Array.from({ length: count }, (_, at) => ({
          item_id: `item-${(from + 1 + (wrong ? count - at : at)) % ITEMS}`,
          score: 1 / (1 + at),
          rank: at + 1,
        }));
        const facts = { slot: request.slot, kind: request.kind ?? "for_you", personal };
        return {
          shelf_id: `shelf-${++this.#calls}`,
          items,
          model_version: this.#version,
          ...facts,
        };
      });
    }

    async fineTune(steps) {
      return this.#alone(async () => {
        await wait(Number(this.#switches.get("step_ms")));
        this.#maybePanic("fineTune");
        this.#maybeLose("fineTune");
        const loss_before = 4 / (1 + this.#state.steps);
        if (this.#state.steps + 1 === Number(this.#switches.get("roll_back_at"))) {
          return { steps, loss_before, loss_after: 9, kept: false, reason: "rolled back" };
        }
        this.#state.steps += steps;
        this.#state.weights.fake = this.#state.steps / 10;
        return { steps, loss_before, loss_after: 4 / (1 + this.#state.steps), kept: true };
      });
    }

    forget(item_id) {
      return this.#aloneNow(() => {
        const { session } = this.#state;
        const kept = session.filter((event) => event.item_id !== item_id);
        const removed = session.length - kept.length;
        if (removed > 0) this.#state = { session: kept, steps: 0, weights: {} };
        return { removed, left: kept.length };
      });
    }

    async relearn(clicks, steps) {
      if (clicks < 2 || clicks > this.#state.session.length) throw coded("INVALID_REQUEST");
      return this.fineTune(steps);
    }

    async explain(item_id) {
      return this.#alone(async () => {
        if (this.#index(item_id) === null) throw coded("UNKNOWN_ITEM");
        const because = this.#state.session.map((event, position) => ({
          item_id: event.item_id,
          position,
          contribution: 0.1,
        }));
        return { item_id, score: 1, because, personal_contribution: this.#state.steps / 10 };
      });
    }

    async inspect() {
      return this.#aloneNow(() => ({
        ...this.#facts(),
        session: structuredClone(this.#state.session),
        steps: this.#state.steps,
        guard: {
          compared: this.#state.session.length,
          lead_nats: 0.25,
          evidence_nats: 0.5,
          personal: false,
          say: 0,
          rolled_back: 0,
        },
        strategy: this.#strategy,
        learned: Object.entries(this.#state.weights).map(([category, weight]) => ({
          category,
          weight,
        })),
      }));
    }

    /** Eight shared parameters, each a tenth of the steps since the last contribution. */
    async contribution() {
      return this.#alone(async () => {
        const { steps, contributed = 0 } = this.#state;
        return steps === contributed
          ? undefined
          : new Float32Array(8).fill((steps - contributed) / 10);
      });
    }

    contributed() {
      this.#aloneNow(() => {
        this.#state.contributed = this.#state.steps;
      });
    }

    exportState() {
      return this.#aloneNow(() => {
        if (this.#erased) this.#maybePanic("exportAfterErase");
        return encoder.encode(JSON.stringify(this.#state));
      });
    }

    importState(bytes) {
      this.#aloneNow(() => {
        this.#state = JSON.parse(decoder.decode(bytes));
      });
    }

    /** A log is lines that name versions, `*` all of them; what was seen must be its beginning. */
    checkLog(log, publicKeys, seen) {
      return this.#aloneNow(() => {
        const text = decoder.decode(log);
        const names = text.split("\n");
        const isNamed = names.includes(this.#version) || names.includes("*");
        if (publicKeys.length === 0 || !text.startsWith(seen) || !isNamed)
          throw coded("LOG_INVALID");
        return text;
      });
    }

    exportReadable() {
      return this.#aloneNow(() => JSON.stringify(this.#state, null, 2));
    }

    async save() {
      return this.#alone(async () => {
        this.#maybePanic("save");
        this.#maybeLose("save");
        if (this.#switches.get("storage") === "full") throw coded("STORAGE_FULL");
        this.#demandStorage();
        const bytes = encoder.encode(JSON.stringify(this.#state));
        await stored("readwrite", (store) => store.put(bytes, "personal"));
        return { bytes: bytes.length };
      });
    }

    async restore() {
      return this.#alone(async () => {
        this.#maybePanic("restore");
        this.#demandStorage();
        const error = this.#switches.get("restore");
        if (error !== null) throw coded(error);
        const bytes = await stored("readonly", (store) => store.get("personal"));
        if (bytes === undefined) return false;
        this.#state = JSON.parse(decoder.decode(bytes));
        return true;
      });
    }

    async erase(inStorage) {
      return this.#alone(async () => {
        if (inStorage) {
          this.#demandStorage();
          await stored("readwrite", (store) => store.delete("personal"));
        }
        this.#state = { session: [], steps: 0, weights: {} };
        this.#erased = true;
      });
    }

    free() {
      this.#busy = true;
    }

    #facts() {
      return {
        model_version: this.#version,
        model_digest: this.#switches.get("digest") ?? `${this.#version}, in full`,
        items: ITEMS,
        parameters: 4096,
        personal_parameters: 64,
        steps_per_click: 4,
      };
    }

    #index(item_id) {
      const match = /^item-(\d{1,3})$/.exec(item_id ?? "");
      return match === null ? null : Number(match[1]);
    }

    #hit(name, item_id) {
      return this.#switches.get(name) === item_id && countedBelow(this.#switches, name);
    }

    #maybePanic(method) {
      if (this.#switches.get("panic_on") === method && countedBelow(this.#switches, method)) {
        throw coded("PANIC");
      }
    }

    #maybeLose(method) {
      const [on, code] = (this.#switches.get("gpu") ?? "").split(":");
      if (kind === "webgpu" && on === method) throw coded(code);
    }

    #demandStorage() {
      if (this.#switches.get("storage") === "unavailable") throw coded("STORAGE_UNAVAILABLE");
    }

    #enter() {
      // wasm-bindgen's own words, and like its error without a code.
      if (this.#busy) throw new Error("recursive use of an object detected");
      this.#busy = true;
    }

    #aloneNow(work) {
      this.#enter();
      try {
        return work();
      } finally {
        this.#busy = false;
      }
    }

    async #alone(work) {
      this.#enter();
      try {
        // The real one gives up the thread at least once, which is when an overlap would show.
        await wait(0);
        await Promise.resolve();
        return await work();
      } finally {
        this.#busy = false;
      }
    }
  };
}
