import type { DeviceKind, Inspection } from "../../onshelf/src/index.ts";
import type { Catalogue } from "./catalogue.ts";
import { h, icon, icons } from "./dom.ts";
import { describeTrouble } from "./engine.ts";
import type { Engine } from "./engine.ts";
import { bytes, milliseconds, number, t } from "./i18n.ts";
import { EraseDialog } from "./erase.ts";
import { drawProduct } from "./pictures/draw.ts";
import { readStored, writeStored } from "./storage.ts";

const MOST_LEARNED = 7;
const LAST_CLICKS = 6;
const SHORT_VERSION = 12;

/** Wide screens begin with the panel open: what it shows is the point of this shop. */
function startsOpen(): boolean {
  const stored = readStored("panel");
  if (stored !== null && innerWidth >= 900) return stored === "open";
  return innerWidth >= 1200;
}

function save(blob: Blob): void {
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: "onshelf-personal.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

export interface PanelUse {
  readonly catalogue: Catalogue;
  readonly engine: Engine;
  readonly say: (text: string) => void;
  /** Forgets what the page itself remembers of the session. */
  readonly forget: () => void;
}

/** "On your device": what runs, what it knows, and the shopper's own buttons. */
export class Panel {
  readonly root: HTMLElement;
  readonly erase: EraseDialog;
  readonly #state = h("p", { class: "panel-state", role: "status" });
  readonly #progress = h("progress", {
    class: "panel-progress",
    "aria-label": t.panelLoading,
    max: 1,
    hidden: true,
  });
  readonly #privacy = h("p", { class: "fine", hidden: true }, t.gpc);
  readonly #uploaded = h("span", {}, t.uploaded);
  readonly #values = new Map<string, HTMLElement>();
  readonly #learned = h("ul", { class: "learned", role: "list", "data-testid": "panel-learned" });
  readonly #clicks = h("div", { class: "clicks", "aria-hidden": "true" });
  readonly #pause = h(
    "button",
    { type: "button", class: "button ghost", "data-testid": "pause" },
    t.pause,
  );
  readonly #export = h(
    "button",
    { type: "button", class: "button ghost", "data-testid": "export" },
    t.exportData,
  );
  readonly #erase = h(
    "button",
    { type: "button", class: "button ghost danger", "data-testid": "erase" },
    t.erase,
  );
  readonly #devices: HTMLButtonElement[] = [];
  readonly #toggle: HTMLButtonElement;
  readonly #body: HTMLElement;
  #open = startsOpen();
  #reading = false;
  #readAgain = false;
  #drawnClicks = "";

  constructor(readonly use: PanelUse) {
    this.erase = new EraseDialog(() => void this.#doErase());
    this.#toggle = h("button", {
      type: "button",
      class: "panel-toggle",
      "aria-controls": "onshelf-panel-body",
      onclick: () => this.setOpen(!this.#open),
    });
    this.#body = h("div", { id: "onshelf-panel-body", class: "panel-body" }, ...this.#content());
    this.root = h(
      "aside",
      { id: "onshelf-panel", class: "panel", "data-testid": "panel", "aria-label": t.panelTitle },
      this.#toggle,
      this.#body,
    );
    this.#pause.addEventListener("click", () => void this.#doPause());
    this.#export.addEventListener("click", () => void this.#doExport());
    this.#erase.addEventListener("click", () => this.erase.open());
    use.engine.onStatus(() => void this.update());
    this.setOpen(this.#open, false);
    void this.update();
  }

  #content(): HTMLElement[] {
    const rows = h(
      "dl",
      { class: "panel-rows" },
      this.#row(t.device, "panel-device"),
      this.#row(t.adapter, "panel-adapter"),
      this.#row(t.version, "panel-version"),
      this.#row(t.rankTime, "panel-rank-ms"),
      this.#row(t.learnTime, "panel-learn-ms"),
      this.#row(t.steps, "panel-steps"),
      this.#row(t.clicks, "panel-clicks"),
      this.#row(t.stored, "panel-stored"),
    );
    return [
      this.#state,
      this.#progress,
      this.#privacy,
      h("h2", {}, t.learnedTitle),
      this.#learned,
      this.#clicks,
      rows,
      h(
        "p",
        { class: "uploaded", "data-testid": "panel-uploaded" },
        icon(icons.lock, 16),
        this.#uploaded,
      ),
      this.#deviceSwitch(),
      h("div", { class: "panel-buttons" }, this.#pause, this.#export, this.#erase),
    ];
  }

  #row(name: string, testId: string): HTMLElement {
    const value = h("dd", { "data-testid": testId }, t.none);
    this.#values.set(testId, value);
    return h("div", {}, h("dt", {}, name), value);
  }

  #deviceSwitch(): HTMLElement {
    const group = h("div", { class: "switch", role: "group", "aria-label": t.deviceSwitch });
    for (const kind of ["cpu", "webgpu"] as const) {
      const button = h(
        "button",
        {
          type: "button",
          "data-device": kind,
          "aria-pressed": "false",
          onclick: () => void this.#setDevice(kind),
        },
        t[kind],
      );
      this.#devices.push(button);
      group.append(button);
    }
    return h(
      "div",
      { class: "switch-line" },
      h("span", { "aria-hidden": "true" }, t.deviceSwitch),
      group,
    );
  }

  setOpen(open: boolean, remember = true): void {
    this.#open = open;
    this.root.classList.toggle("open", open);
    document.documentElement.classList.toggle("panel-open", open);
    this.#body.inert = !open;
    this.#toggle.setAttribute("aria-expanded", String(open));
    this.#toggle.setAttribute("aria-label", open ? t.panelShut : t.panelOpen);
    this.#toggle.replaceChildren(
      icon(icons.chip),
      h("span", { class: "toggle-words" }, t.panelTitle),
      icon(icons.up, 16),
    );
    if (remember) writeStored("panel", open ? "open" : "shut");
  }

  reveal(): void {
    this.setOpen(true);
    this.#toggle.focus();
  }

  /** Reads the model's state; calls that come meanwhile are answered by one more reading. */
  async update(): Promise<void> {
    this.#drawState();
    if (this.#reading) {
      this.#readAgain = true;
      return;
    }
    this.#reading = true;
    do {
      this.#readAgain = false;
      const inspection = await this.use.engine.inspect();
      if (inspection !== null) this.#draw(inspection);
    } while (this.#readAgain);
    this.#reading = false;
  }

  #drawState(): void {
    const { status, paused, progress, heldByPrivacySignal } = this.use.engine;
    const text =
      status === "failed"
        ? t.panelFailed
        : status === "ready"
          ? paused || heldByPrivacySignal
            ? t.panelPaused
            : t.panelReady
          : this.#loadingText();
    if (this.#state.textContent !== text) this.#state.textContent = text;
    const rests = status === "ready" && (paused || heldByPrivacySignal);
    this.#state.dataset["state"] = rests ? "paused" : status;
    this.#progress.hidden = status !== "loading";
    if (progress !== null && progress.total > 0)
      this.#progress.value = progress.loaded / progress.total;
    this.#privacy.hidden = !heldByPrivacySignal;
    const unusable = status !== "ready";
    for (const button of [this.#pause, this.#export, this.#erase, ...this.#devices])
      button.disabled = unusable;
    this.#pause.disabled ||= heldByPrivacySignal;
    this.#pause.textContent = paused ? t.resume : t.pause;
  }

  #loadingText(): string {
    const { progress } = this.use.engine;
    return progress === null
      ? `${t.panelLoading}…`
      : `${t.panelLoading}: ${t.stages[progress.stage]}`;
  }

  #set(testId: string, text: string): void {
    const element = this.#values.get(testId);
    if (element !== undefined && element.textContent !== text) element.textContent = text;
  }

  #draw(state: Inspection): void {
    this.#set("panel-device", state.device === "webgpu" ? "WebGPU" : "CPU");
    this.#set("panel-adapter", state.adapter ?? t.none);
    this.#set("panel-version", state.model_version.slice(0, SHORT_VERSION));
    this.#values.get("panel-version")?.setAttribute("title", state.model_version);
    this.#set("panel-rank-ms", milliseconds(state.last_rank_ms));
    this.#set("panel-learn-ms", milliseconds(state.last_learn_ms));
    this.#set("panel-steps", number(state.steps));
    this.#set("panel-clicks", number(state.session.length));
    const stored =
      state.storage === "indexeddb"
        ? bytes(state.stored_bytes)
        : state.storage === "none"
          ? t.notStored
          : t.storageUnavailable;
    this.#set("panel-stored", stored);
    const { participations, budget_left } = state.sync;
    const told = participations > 0 ? t.uploadedRounds(participations, budget_left) : t.uploaded;
    if (this.#uploaded.textContent !== told) this.#uploaded.textContent = told;
    for (const button of this.#devices)
      button.setAttribute("aria-pressed", String(button.dataset["device"] === state.device));
    this.#drawLearned(state.learned);
    this.#drawClicks(state.session.map((click) => click.item_id));
  }

  #drawLearned(learned: Inspection["learned"]): void {
    const shown = [...learned]
      .sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight))
      .slice(0, MOST_LEARNED);
    const strongest = Math.abs(shown[0]?.weight ?? 0) || 1;
    const rows = shown.map(({ category, weight }) => {
      const bar = h(
        "span",
        { class: weight < 0 ? "bar against" : "bar" },
        h("span", { class: "bar-fill" }),
      );
      bar.style.setProperty("--share", String(Math.abs(weight) / strongest));
      return h(
        "li",
        {},
        h(
          "span",
          { class: "learned-name" },
          category,
          weight < 0 && h("span", { class: "when" }, ` (${t.learnedLess})`),
        ),
        bar,
      );
    });
    this.#learned.replaceChildren(
      ...(rows.length > 0 ? rows : [h("li", { class: "fine" }, t.learnedNone)]),
    );
  }

  #drawClicks(ids: readonly string[]): void {
    const last = ids.slice(-LAST_CLICKS).reverse();
    if (last.join() === this.#drawnClicks) return;
    this.#drawnClicks = last.join();
    const pictures = last
      .map((id) => this.use.catalogue.get(id))
      .filter((product) => product !== undefined);
    this.#clicks.replaceChildren(
      ...pictures.map((product) =>
        h("span", { class: "pic mini", title: product.name }, drawProduct(product)),
      ),
    );
  }

  async #setDevice(kind: DeviceKind): Promise<void> {
    const { engine, say } = this.use;
    try {
      const now = await engine.shelf?.setDevice(kind);
      if (now !== undefined) say(t.deviceNow(t[now]));
    } catch (error) {
      engine.report(describeTrouble(error, t.deviceFailed));
    }
    await this.update();
  }

  async #doPause(): Promise<void> {
    const { engine } = this.use;
    try {
      await engine.setPaused(!engine.paused);
    } catch (error) {
      engine.report(describeTrouble(error, t.pauseFailed));
    }
  }

  async #doExport(): Promise<void> {
    const { engine } = this.use;
    try {
      const blob = await engine.shelf?.exportPersonal();
      if (blob !== undefined) save(blob);
    } catch (error) {
      engine.report(describeTrouble(error, t.exportFailed));
    }
  }

  async #doErase(): Promise<void> {
    const { engine, say, forget } = this.use;
    try {
      await engine.shelf?.erase();
      forget();
      engine.refresh();
      say(t.erased);
    } catch (error) {
      engine.report(describeTrouble(error, t.eraseFailed));
    }
    this.#erase.focus();
  }
}
