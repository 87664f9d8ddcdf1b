/** The operator's console: asks for a token, then shows what the server tells, every five seconds. */

import { ask } from "./ask.ts";
import { tokenForm } from "./form.ts";
import { Page } from "./page.ts";
import { t } from "./texts.ts";
import { dropToken, keepToken, readToken } from "./token.ts";
import type { Status } from "./types.ts";
import type { Connection } from "./views/banners.ts";

const EVERY_MS = 5_000;

class Console {
  #token = "";
  #page: Page | null = null;
  #status: Status | null = null;
  #trouble: string | null = null;
  /** The server's clock less ours, seconds. */
  #ahead = 0;
  #asking = false;
  #next = 0;

  constructor(readonly place: HTMLElement) {}

  start(): void {
    const token = readToken();
    if (token === null) this.#askForToken(null);
    else this.#open(token);
    document.addEventListener("visibilitychange", () => this.#look());
    addEventListener("online", () => this.#look());
    // Somebody may paste an address with a token into a tab that is open.
    addEventListener("hashchange", () => {
      const given = location.hash.includes("token=") ? readToken() : null;
      if (given !== null) this.#open(given);
    });
    setInterval(() => this.#page?.tick(this.#connection(), this.#status, this.#now()), 1_000);
  }

  #now(): number {
    return Date.now() / 1000 + this.#ahead;
  }

  #connection(): Connection {
    const age = this.#status === null ? null : Math.max(0, this.#now() - this.#status.generated);
    return { trouble: this.#trouble, age };
  }

  #askForToken(why: string | null): void {
    clearTimeout(this.#next);
    dropToken();
    [this.#token, this.#page, this.#status, this.#trouble] = ["", null, null, null];
    const form = tokenForm(why, (token) => {
      keepToken(token);
      this.#open(token);
    });
    this.place.replaceChildren(form);
    form.querySelector("input")?.focus();
  }

  #open(token: string): void {
    this.#token = token;
    this.#status = null;
    this.#trouble = null;
    this.#page = new Page(() => this.#askForToken(null));
    this.place.replaceChildren(this.#page.root);
    this.#page.show(this.#connection(), null, this.#now());
    this.#look();
  }

  /** Asks now, unless nobody is looking or an answer is awaited. */
  #look(): void {
    clearTimeout(this.#next);
    if (this.#page === null || document.hidden || this.#asking) return;
    void this.#refresh(this.#token);
  }

  async #refresh(token: string): Promise<void> {
    this.#asking = true;
    const answer = await ask(token);
    this.#asking = false;
    // Signed out, or in with another token, meanwhile.
    if (this.#page === null || token !== this.#token) return this.#look();
    if (answer.kind === "refused") return this.#askForToken(t.tokenWrong);
    if (answer.kind === "failed") this.#trouble = answer.why;
    else {
      this.#trouble = null;
      this.#status = answer.status;
      this.#ahead = answer.serverNow - Date.now() / 1000;
    }
    this.#page.show(this.#connection(), this.#status, this.#now());
    document.documentElement.dataset["ready"] = "true";
    this.#next = setTimeout(() => this.#look(), EVERY_MS);
  }
}

document.title = t.title;
const place = document.getElementById("app");
if (place !== null) new Console(place).start();
