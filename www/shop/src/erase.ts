import { h } from "./dom.ts";
import { t } from "./i18n.ts";

/** Erasing cannot be undone, so it asks. */
export class EraseDialog {
  readonly root: HTMLDialogElement;

  constructor(onYes: () => void) {
    const yes = (): void => {
      this.root.close();
      onYes();
    };
    this.root = h(
      "dialog",
      {
        class: "dialog small-dialog",
        "data-testid": "erase-dialog",
        "aria-labelledby": "erase-title",
      },
      h("h2", { id: "erase-title" }, t.eraseTitle),
      h("p", {}, t.eraseText),
      // A dialog gives the focus to its first button: to the one that does no harm.
      h(
        "div",
        { class: "dialog-buttons" },
        h(
          "button",
          {
            type: "button",
            class: "button ghost",
            onclick: () => this.root.close(),
          },
          t.cancel,
        ),
        h(
          "button",
          { type: "button", class: "button danger", "data-testid": "erase-yes", onclick: yes },
          t.eraseYes,
        ),
      ),
    );
  }

  open(): void {
    this.root.showModal();
  }
}
