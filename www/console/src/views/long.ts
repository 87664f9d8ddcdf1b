import { h, table, type Column } from "../draw.ts";
import { t } from "../texts.ts";

/** Rows that are shown before somebody asks for more. */
const SHOWN = 12;
/** Tables whose rows are all shown, remembered while the page is open. */
const opened = new Set<string>();

/** A table of which only the newest rows are shown at first. */
export function longTable(
  key: string,
  caption: string,
  columns: readonly Column[],
  rows: HTMLElement[],
): HTMLElement {
  const button = h("button", { type: "button", class: "plain", "data-key": `more-${key}` });
  const draw = (): void => {
    const all = opened.has(key);
    rows.forEach((row, at) => (row.hidden = !all && at >= SHOWN));
    button.textContent = all ? t.showFewer : t.showAll(rows.length);
    button.setAttribute("aria-expanded", String(all));
  };
  button.addEventListener("click", () => {
    if (!opened.delete(key)) opened.add(key);
    draw();
  });
  draw();
  return h("div", { class: "stack" }, table(caption, columns, rows), rows.length > SHOWN && button);
}
