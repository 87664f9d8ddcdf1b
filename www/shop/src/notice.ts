import { h, icon, icons } from "./dom.ts";
import type { Trouble } from "./engine.ts";
import { t } from "./i18n.ts";

/** Where troubles are told: never in the way, always dismissible, one line for each code. */
export class Notices {
  readonly root = h("div", { class: "notices", "aria-live": "polite" });

  show = (trouble: Trouble): void => {
    const same = [...this.root.children].find(
      (child) => child.getAttribute("data-code") === trouble.code,
    );
    same?.remove();
    const notice = h(
      "section",
      {
        class: "notice",
        "data-testid": "notice",
        "data-code": trouble.code,
        "aria-label": t.notice,
      },
      h(
        "div",
        {},
        h("p", { class: "notice-title" }, trouble.message),
        h("p", {}, trouble.remedy, " ", h("code", {}, t.modelFailedCode(trouble.code))),
      ),
      h(
        "button",
        {
          type: "button",
          class: "round plain",
          "aria-label": t.dismiss,
          onclick: () => notice.remove(),
        },
        icon(icons.close, 16),
      ),
    );
    this.root.append(notice);
  };
}
