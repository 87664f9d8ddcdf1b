/** Asks for the token. */

import { h } from "./draw.ts";
import { t } from "./texts.ts";

/** `why`: what was wrong with the token of before, if there was one. */
export function tokenForm(why: string | null, done: (token: string) => void): HTMLElement {
  const input = h("input", {
    id: "token",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    autocapitalize: "none",
    required: true,
    "aria-describedby": "token-help token-error",
    "data-testid": "token",
  });
  const error = h("p", {
    id: "token-error",
    class: "error",
    role: "alert",
    "data-testid": "token-error",
  });
  const say = (text: string): void => {
    error.textContent = text;
    input.setAttribute("aria-invalid", String(text !== ""));
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    const token = input.value.trim();
    // A header takes printable ASCII only; anything else cannot be the token.
    if (token === "") say(t.tokenMissing);
    else if (!/^[\x21-\x7e]+$/.test(token)) say(t.tokenWrong);
    else done(token);
  };
  if (why !== null) say(why);
  return h(
    "main",
    { class: "door" },
    h(
      "form",
      { class: "card", onsubmit: submit, novalidate: true },
      h(
        "h1",
        {},
        h("span", { class: "logo", "aria-hidden": "true" }),
        t.product,
        " ",
        h("span", { class: "place" }, t.place),
      ),
      h("label", { for: "token" }, t.tokenLabel),
      input,
      h("p", { id: "token-help", class: "note" }, t.tokenHelp),
      error,
      h("button", { type: "submit", class: "button", "data-testid": "open" }, t.open),
    ),
  );
}
