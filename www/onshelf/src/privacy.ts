/**
 * `<onshelf-privacy>`: shows a shopper what was learned on this device and lets them decide about it.
 *
 * ```ts
 * import { definePrivacyElement, type OnshelfPrivacy } from "onshelf/privacy";
 * definePrivacyElement();
 * document.querySelector<OnshelfPrivacy>("onshelf-privacy")!.shelf = shelf;
 * ```
 *
 * Fires `onshelf-consent` (`detail.consent`) when the shopper chose: the page remembers it and passes it to the
 * next `load`. `element.itemName = (item_id) => …` gives items the names that shoppers know. Parts for styling: `title`,
 * `choices`, `learned`, `items`, `rounds`, `buttons`, `button`, `status`.
 */

import type { Consent } from "./consent.js";
import { STYLE } from "./privacy-style.js";
import { filled, textsFor, type PrivacyTexts } from "./privacy-texts.js";
import type { Onshelf } from "./client.js";
import type { Inspection } from "./types.js";

export { PRIVACY_TEXTS, type PrivacyTexts } from "./privacy-texts.js";

/** Most categories that are listed. */
const MOST = 8;

// On a server there is nothing to extend; the module must be importable there all the same.
const Base = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement;

type Children = (Node | string)[];

function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: Children
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** See the file's head. */
export class OnshelfPrivacy extends Base {
  #shelf: Onshelf | null = null;
  #texts: PrivacyTexts | null = null;
  #stop: (() => void) | null = null;
  #parts: ReturnType<OnshelfPrivacy["build"]> | null = null;
  #drawn = 0;
  #itemName: (item_id: string) => string | null | undefined = (item_id) => item_id;

  /** Whose knowledge is shown. */
  get shelf(): Onshelf | null {
    return this.#shelf;
  }

  set shelf(shelf: Onshelf | null) {
    this.#stop?.();
    this.#stop = null;
    this.#shelf = shelf;
    if (this.isConnected) this.#listen();
  }

  /** The page's own words; `null` for those of the element's language. */
  get texts(): PrivacyTexts | null {
    return this.#texts;
  }

  set texts(texts: PrivacyTexts | null) {
    this.#texts = texts;
    if (this.isConnected) this.connectedCallback();
  }

  /** What an item is called; its id where there is no name. */
  get itemName(): (item_id: string) => string | null | undefined {
    return this.#itemName;
  }

  set itemName(name: (item_id: string) => string | null | undefined) {
    this.#itemName = name;
    this.#parts?.items.replaceChildren();
    if (this.isConnected) void this.#draw();
  }

  connectedCallback(): void {
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open", delegatesFocus: true });
    // Unlike a style element it needs no permission of a Content-Security-Policy.
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    const parts = this.build(this.#words());
    this.#parts = parts;
    root.replaceChildren(parts.root);
    this.#listen();
  }

  disconnectedCallback(): void {
    this.#stop?.();
    this.#stop = null;
  }

  #words(): PrivacyTexts {
    if (this.#texts !== null) return this.#texts;
    const near = this.closest("[lang]")?.getAttribute("lang");
    return textsFor([near, ...navigator.languages]);
  }

  #listen(): void {
    this.#stop?.();
    this.#stop = this.#shelf?.onChange(() => void this.#draw()) ?? null;
    void this.#draw();
  }

  /** @internal */
  build(t: PrivacyTexts) {
    const choice = (value: Consent, name: string, about: string) => {
      const input = make("input", { type: "radio", name: "consent", value });
      input.addEventListener("change", () => void this.#choose(value));
      const label = make("label", {}, input, make("span", {}, name), make("small", {}, about));
      return { input, label };
    };
    const choices = [
      choice("denied", t.denied, t.denied_about),
      choice("device", t.device, t.device_about),
      choice("device+sync", t.sync, t.sync_about),
    ];
    const button = (text: string, act: () => unknown) => {
      const made = make("button", { type: "button", part: "button" }, text);
      made.addEventListener("click", () => void act());
      return made;
    };
    const gpc = make("p", { hidden: "" }, t.gpc);
    const fieldset = make(
      "fieldset",
      { part: "choices" },
      make("legend", {}, t.question),
      ...choices.map(({ label }) => label),
      gpc,
    );
    const learned = make("ul", { role: "list" });
    const nothing = make("p", {}, t.nothing);
    const clicks = make("summary");
    const items = make("ul", { role: "list" });
    const visit = make("details", { part: "items" }, clicks, make("p", {}, t.forget_about), items);
    const rounds = make("p");
    const pause = button(t.pause, () => this.#pause());
    const save = button(t.save, () => this.#save());
    const erase = button(t.erase, () => this.#ask(true));
    const yes = button(t.erase_yes, () => this.#erase());
    const no = button(t.cancel, () => this.#ask(false));
    const sure = make("div", { role: "group", "aria-labelledby": "sure", hidden: "" });
    sure.append(
      make("p", { id: "sure" }, t.erase_sure),
      make("div", { class: "buttons" }, yes, no),
    );
    sure.addEventListener("keydown", ({ key }) => {
      if (key === "Escape") this.#ask(false);
    });
    const status = make("p", { role: "status", part: "status" });
    const roundsPart = make("div", { part: "rounds" }, make("h3", {}, t.rounds), rounds);
    const root = make(
      "section",
      { "aria-labelledby": "title" },
      make("h2", { id: "title", part: "title" }, t.title),
      fieldset,
      make("div", { part: "learned" }, make("h3", {}, t.learned), learned, nothing, visit),
      roundsPart,
      make("div", { class: "buttons", part: "buttons" }, pause, save, erase),
      sure,
      status,
    );
    return {
      t,
      root,
      choices,
      gpc,
      learned,
      nothing,
      clicks,
      items,
      visit,
      rounds,
      roundsPart,
      pause,
      save,
      erase,
      yes,
      sure,
      status,
    };
  }

  async #draw(): Promise<void> {
    const parts = this.#parts;
    if (parts === null) return;
    const turn = ++this.#drawn;
    const controls = [
      parts.pause,
      parts.save,
      parts.erase,
      ...parts.choices.map((one) => one.input),
    ];
    if (this.#shelf === null) for (const control of controls) control.disabled = true;
    let state: Inspection | null = null;
    try {
      state = (await this.#shelf?.inspect()) ?? null;
    } catch {
      // Disposed meanwhile: as if there were none yet.
    }
    // A later reading knows more.
    if (turn !== this.#drawn) return;
    for (const control of controls) control.disabled = state === null;
    if (state === null) {
      parts.status.textContent = parts.t.loading;
      return;
    }
    if (parts.status.textContent === parts.t.loading) parts.status.textContent = "";
    this.#fill(parts, state);
  }

  #fill(parts: ReturnType<OnshelfPrivacy["build"]>, state: Inspection): void {
    const { t } = parts;
    const held = state.consent_limited_by === "gpc";
    for (const { input } of parts.choices) {
      input.checked = input.value === state.consent;
      input.disabled = held;
    }
    parts.gpc.hidden = !held;
    const percent = new Intl.NumberFormat(this.lang || undefined, { style: "percent" });
    // What rounds to nothing is not worth a line.
    const shown = state.learned.filter(({ weight }) => weight >= 0.005).slice(0, MOST);
    const most = shown[0]?.weight ?? 1;
    parts.learned.replaceChildren(
      ...shown.map(({ category, weight }) => {
        const fill = make("span");
        fill.style.setProperty("--share", String(weight / most));
        const bar = make("span", { class: "bar", "aria-hidden": "true" }, fill);
        return make(
          "li",
          {},
          make("span", {}, category),
          bar,
          make("span", {}, percent.format(weight)),
        );
      }),
    );
    parts.learned.hidden = shown.length === 0;
    parts.nothing.hidden = shown.length > 0;
    parts.clicks.textContent = filled(t.clicks, { n: state.session.length });
    this.#list(parts, state);
    const { participations, budget_left } = state.sync;
    parts.rounds.textContent = filled(t.rounds_of, { n: participations, left: budget_left });
    parts.roundsPart.hidden = participations === 0 && state.consent !== "device+sync";
    parts.pause.textContent = state.paused ? t.resume : t.pause;
    parts.pause.disabled = state.consent === "denied";
  }

  /** The items of this visit, the newest first, each with a button that forgets it. */
  #list({ t, items, visit }: ReturnType<OnshelfPrivacy["build"]>, { session }: Inspection): void {
    const ids = [...new Set(session.map(({ item_id }) => item_id).reverse())];
    const known = new Map([...items.children].map((one) => [(one as HTMLElement).title, one]));
    visit.hidden = ids.length === 0;
    // Those that stay are not touched: whoever is on a button stays there.
    for (const [id, element] of known) if (!ids.includes(id)) element.remove();
    for (const [at, item_id] of ids.entries()) {
      const element = known.get(item_id) ?? this.#entry(t, item_id);
      if (items.children[at] !== element) items.insertBefore(element, items.children[at] ?? null);
    }
  }

  #entry(t: PrivacyTexts, item_id: string): Element {
    const name = this.#itemName(item_id) || item_id;
    const label = filled(t.forget_item, { item: name });
    const button = make(
      "button",
      { type: "button", part: "button", "aria-label": label },
      t.forget,
    );
    button.addEventListener("click", () => void this.#forget(item_id, name));
    return make("li", { title: item_id }, make("span", {}, name), button);
  }

  async #forget(item_id: string, name: string): Promise<void> {
    const parts = this.#parts;
    if (parts === null) return;
    const { items, visit, save } = parts;
    const all = [...items.children] as HTMLElement[];
    const at = all.findIndex(({ title }) => title === item_id);
    const done = await this.#act(
      (shelf) => shelf.forget(item_id),
      (t) => filled(t.forgotten, { item: name }),
    );
    if (!done) return;
    // Its button goes, and the one beside it takes the focus; a drawing that is on its way finds the same.
    const focused = this.shadowRoot?.activeElement ?? null;
    if (focused === null || all[at]?.contains(focused)) {
      const next = [...all.slice(at + 1), ...all.slice(0, at).reverse()].find(
        (one) => one.isConnected,
      );
      (next?.querySelector("button") ?? save).focus();
    }
    all[at]?.remove();
    visit.hidden = items.childElementCount === 0;
  }

  /** Does something, and says what became of it; gives whether it was done. */
  async #act(work: (shelf: Onshelf) => Promise<unknown>, done: (t: PrivacyTexts) => string) {
    const parts = this.#parts;
    if (parts === null || this.#shelf === null) return false;
    let ok = false;
    try {
      await work(this.#shelf);
      ok = true;
      parts.status.textContent = done(parts.t);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      parts.status.textContent = filled(parts.t.failed, { why });
    }
    await this.#draw();
    return ok;
  }

  async #choose(consent: Consent): Promise<void> {
    await this.#act(
      (shelf) => shelf.setConsent(consent),
      (t) => t.changed,
    );
    const event = new CustomEvent("onshelf-consent", {
      detail: { consent },
      bubbles: true,
      composed: true,
    });
    this.dispatchEvent(event);
  }

  async #pause(): Promise<void> {
    let paused = false;
    await this.#act(
      async (shelf) => {
        paused = !(await shelf.inspect()).paused;
        await (paused ? shelf.pause() : shelf.resume());
      },
      (t) => (paused ? t.paused : t.resumed),
    );
  }

  async #save(): Promise<void> {
    await this.#act(
      async (shelf) => {
        const url = URL.createObjectURL(await shelf.exportPersonal());
        make("a", { href: url, download: "onshelf.json" }).click();
        setTimeout(() => URL.revokeObjectURL(url), 10_000);
      },
      () => "",
    );
  }

  #ask(asking: boolean): void {
    const parts = this.#parts;
    if (parts === null) return;
    parts.sure.hidden = !asking;
    (asking ? parts.yes : parts.erase).focus();
  }

  async #erase(): Promise<void> {
    this.#ask(false);
    await this.#act(
      (shelf) => shelf.erase(),
      (t) => t.erased,
    );
  }
}

/** Makes the element known to the page, once. */
export function definePrivacyElement(name = "onshelf-privacy"): void {
  if (customElements.get(name) === undefined) customElements.define(name, OnshelfPrivacy);
}
