/** The rules of accessibility, by axe-core: WCAG 2.2, levels A and AA. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./harness.mjs";

const WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const AXE = readFileSync(join(ROOT, "node_modules/axe-core/axe.min.js"), "utf8");

/**
 * What an open page breaks: a line a rule, with every place and, where axe says one, the reason.
 *
 * @param raw the driver's page; scripts come through the debugger, so a page's own policy does not matter
 * @param bestPractice whether axe's advice beyond WCAG counts as well
 * @param iframes whether frames are looked into
 * @returns {Promise<string[]>} empty for a page that holds all of them
 */
export async function violations(raw, { bestPractice = false, iframes = true } = {}) {
  await raw.evaluate(AXE);
  const runOnly = bestPractice ? [...WCAG, "best-practice"] : WCAG;
  return raw.evaluate(
    async ([runOnly, iframes]) => {
      const told = await globalThis.axe.run(document, { runOnly, iframes });
      return told.violations.map(({ id, nodes }) => {
        const why = nodes[0].any[0]?.message ?? nodes[0].all[0]?.message ?? "";
        return `${id}: ${nodes.map((node) => node.target.join(" ")).join(", ")}: ${why}`;
      });
    },
    [runOnly, iframes],
  );
}
