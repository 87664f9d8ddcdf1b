/** Checks what the page passes in, and copies of it only what the worker should see. */

import { assetsIn, ownAssets } from "./assets.js";
import type { Agreed } from "./consent.js";
import type { EngineRequest } from "./engine.js";
import { fail } from "./errors.js";
import { recallPaused, recallVerdict } from "./memory.js";
import type { LoadConfig, RelayConfig, Relays } from "./protocol.js";
import type {
  DeviceKind,
  FineTuneOptions,
  LoadOptions,
  RecommendRequest,
  ShelfEvent,
  Strategy,
} from "./types.js";

/** More steps than this in one call would be a training run, not a reaction to a click. */
const MAX_STEPS = 64;

const STRATEGIES: Strategy[] = ["shipped", "gradient", "proximal", "ewc", "replay", "distillation"];

/** @throws OnshelfError `INVALID_REQUEST` where this is no page of a browser */
export function demandPage(): void {
  if (typeof Worker === "undefined" || typeof document === "undefined") {
    throw fail("INVALID_REQUEST", "Onshelf.load runs in a page of a browser, not on a server");
  }
}

/**
 * The worker's configuration from the page's options.
 *
 * @throws OnshelfError `INVALID_REQUEST`
 */
export function toConfig(options: LoadOptions, agreed: Agreed): LoadConfig {
  const { device = "auto", storage = "indexeddb", learning = true, publicKeys } = options;
  const { strategy = "shipped", queue, debug = false, modelCache = 64 << 20 } = options;
  const { log = "auto", updates = "manual" } = options;
  demand(device === "auto" || isDevice(device), "device must be auto, cpu or webgpu");
  demand(
    learning === "idle" || typeof learning === "boolean",
    'learning must be true, false or "idle"',
  );
  demand(STRATEGIES.includes(strategy), `strategy must be one of ${STRATEGIES.join(", ")}`);
  demand(storage === "indexeddb" || storage === "none", "storage must be indexeddb or none");
  demand(
    Array.isArray(publicKeys) &&
      publicKeys.length > 0 &&
      publicKeys.every((key) => typeof key === "string"),
    "publicKeys must hold at least one key",
  );
  demand(
    queue === undefined || (Array.isArray(queue) && Object.isExtensible(queue)),
    "queue must be an array that can grow",
  );
  demand(
    typeof debug === "boolean" || typeof debug === "function",
    "debug must be true, false or a function",
  );
  demand(modelCache >= 0, "modelCache must be 0 or more bytes");
  demand(["auto", "required", "off"].includes(log), "log must be auto, required or off");
  const every = updates === "manual" ? 0 : updates === "idle" ? 30 : updates?.every;
  demand(every >= 0, "updates must be manual, idle or { every: minutes }");
  const remembers = storage === "indexeddb";
  return {
    model: toAddress(options.model, document.baseURI, "model"),
    publicKeys: [...publicKeys],
    assets:
      options.assets === undefined
        ? ownAssets()
        : assetsIn(toFolder(toAddress(options.assets, document.baseURI, "assets"))),
    modelCache,
    log,
    updates_ms: every * 60_000,
    device,
    storage,
    learning,
    strategy,
    agreed,
    sync: toSync(options),
    conditions: { hidden: document.visibilityState === "hidden", saving: false },
    paused: remembers && recallPaused(),
    verdict: remembers && agreed.consent !== "denied" ? recallVerdict() : null,
    restore: remembers && !(agreed.settled && agreed.consent === "denied"),
    snapshot: null,
    events: [],
  };
}

function toSync({ model, sync = {} }: LoadOptions): LoadConfig["sync"] {
  const { task, max_delay_ms = 600_000, relay } = sync;
  demand(max_delay_ms >= 0 && max_delay_ms <= 86_400_000, "max_delay_ms must be 0 to 86400000");
  const manifest = toAddress(model, document.baseURI, "model");
  // A fixed version lies in `manifests/`, one folder below what belongs to all of them.
  const beside = new URL(
    /\/manifests\/[^/]*$/.test(manifest) ? "../task.json" : "task.json",
    manifest,
  );
  const address = task === undefined ? beside.href : toAddress(task, document.baseURI, "sync.task");
  const through = (role: keyof Relays): RelayConfig => {
    const { url, keys } = relay?.[role] ?? {};
    const [name, hash] = [`sync.relay.${role}`, String(keys).toLowerCase()];
    demand(!!url, `${name} needs a url`);
    demand(/^[\da-f]{64}$/.test(hash), `${name}.keys must be a SHA-256 in hex`);
    return { url: toFolder(toAddress(url, document.baseURI, name)), keys: hash };
  };
  // Whatever else stands there is a mistake, and none that may end in showing addresses.
  const relays =
    relay === undefined ? null : { leader: through("leader"), helper: through("helper") };
  return { task: address, max_delay_ms, retry_ms: 2_000, relay: relays };
}

/** Whether this is a {@link DeviceKind}. */
export function isDevice(value: unknown): value is DeviceKind {
  return value === "cpu" || value === "webgpu";
}

/**
 * The event without anything that is not part of it: pages pass on objects that carry more.
 *
 * @throws OnshelfError `INVALID_REQUEST`
 */
export function toEvent(event: ShelfEvent): ShelfEvent {
  demand(typeof event === "object" && event !== null, "track needs an event");
  demand(typeof event.event === "string", "event must be a string");
  return pick(event, [
    "event",
    "item_id",
    "search_term",
    "dwell_ms",
    "shelf_id",
    "item_list_id",
    "quantity",
    "price",
  ]);
}

/**
 * The request without its signal.
 *
 * @throws OnshelfError `INVALID_REQUEST`
 */
export function toRequest(request: RecommendRequest): EngineRequest {
  demand(typeof request === "object" && request !== null, "recommend needs a request");
  demand(typeof request.slot === "string" && request.slot !== "", "slot must name a place");
  for (const name of ["count", "max_per_category"] as const) {
    const value = request[name];
    demand(
      value === undefined || (Number.isInteger(value) && value >= 1),
      `${name} must be a whole number, 1 or more`,
    );
  }
  const copy: EngineRequest = pick(request, [
    "slot",
    "kind",
    "item_id",
    "count",
    "candidates",
    "max_per_category",
    "diversity",
  ]);
  const { boosts } = request;
  demand(boosts === undefined || Array.isArray(boosts), "boosts must be a list");
  if (boosts !== undefined) {
    copy.boosts = boosts.map((boost) => pick(boost, ["item_ids", "brand", "category", "by"]));
  }
  if (request.filter !== undefined) {
    copy.filter = pick(request.filter, [
      "category",
      "brand",
      "in_stock",
      "price_min",
      "price_max",
      "exclude",
    ]);
  }
  return copy;
}

/**
 * Steps and budget with their defaults.
 *
 * @throws OnshelfError `INVALID_REQUEST`
 */
export function toLimits(options: FineTuneOptions): { steps: number | null; budget_ms: number } {
  const { steps = null, budget_ms = 200 } = options;
  demand(
    steps === null || (Number.isInteger(steps) && steps >= 1 && steps <= MAX_STEPS),
    `steps must be a whole number, 1 to ${MAX_STEPS}`,
  );
  demand(budget_ms >= 0, "budget_ms must be 0 or more");
  return { steps, budget_ms };
}

/** @throws OnshelfError `INVALID_REQUEST` with this message unless the condition holds */
export function demand(condition: boolean, message: string): asserts condition {
  if (!condition) throw fail("INVALID_REQUEST", message);
}

function toAddress(value: string | URL, base: string, name: string): string {
  try {
    return new URL(value, base).href;
  } catch (cause) {
    throw fail("INVALID_REQUEST", `${name} must be an address`, cause);
  }
}

/** Without the slash at the end, addresses of files would be made beside the folder. */
function toFolder(address: string): string {
  return address.endsWith("/") ? address : `${address}/`;
}

function pick<T extends object, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> {
  const entries = keys.filter((key) => from[key] !== undefined).map((key) => [key, from[key]]);
  return Object.fromEntries(entries) as Pick<T, K>;
}
