import { svg } from "../dom.ts";
import { t } from "../i18n.ts";
import type { Product } from "../types.ts";
import { shapeFor } from "./choose.ts";
import { inkFor, markColour, patternFor } from "./ink.ts";

const TINTS = 6;
/** Silhouettes whose writing or sides would look wrong mirrored do not exist here, so half of all are mirrored. */
const MIRROR = "translate(200 0) scale(-1 1)";
let nextId = 0;

/** FNV-1a: spreads near-equal ids well. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let place = 0; place < text.length; place++) {
    value = Math.imul(value ^ text.charCodeAt(place), 0x01000193);
  }
  return (value ^ (value >>> 15)) >>> 0;
}

/** What stands behind the product: keeps siblings apart without shouting. */
function scenery(kind: number): string {
  switch (kind) {
    case 0:
      return `<circle class="pic-deco" cx="100" cy="100" r="76"/>`;
    case 1:
      return `<path class="pic-deco" d="M34 162V98a66 66 0 0 1 132 0v64z"/>`;
    case 2:
      return `<path class="pic-deco" d="M0 150q60-34 110-12t90-14v76H0z"/>`;
    default:
      return `<rect class="pic-deco" y="128" width="200" height="72"/>`;
  }
}

function label(product: Product): string {
  const leaf = product.category.at(-1) ?? "";
  return t.pictureOf(product.colour, product.pattern, leaf.toLowerCase());
}

/** Draws a product from its attributes. All markup comes from the tables here; shop data only selects among them. */
export function drawProduct(product: Product, named = false): SVGElement {
  const seed = hash(product.item_id);
  const ink = inkFor(product.colour, (seed >>> 3) % 4);
  const drawing = shapeFor(product.category)(ink);
  const patternId = `pattern-${nextId++}`;
  const pattern = patternFor(product.pattern, patternId, markColour(product.colour, ink));
  const overlay = pattern === "" ? "" : `<g fill="url(#${patternId})">${drawing.body}</g>`;
  const mirrored = (seed >>> 9) % 2 === 1 ? ` transform="${MIRROR}"` : "";
  const picture = svg(
    `<svg class="drawing tint${(seed >>> 12) % TINTS}" viewBox="0 0 200 200" focusable="false">${pattern === "" ? "" : `<defs>${pattern}</defs>`}` +
      `<rect class="pic-bg" width="200" height="200"/>${scenery((seed >>> 17) % 4)}` +
      `<g${mirrored}><ellipse class="pic-shadow" cx="100" cy="160" rx="66" ry="7"/>` +
      `${drawing.under ?? ""}<g fill="${ink.base}">${drawing.body}</g>${overlay}${drawing.over ?? ""}</g></svg>`,
  );
  if (named) {
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", label(product));
  } else {
    picture.setAttribute("aria-hidden", "true");
  }
  return picture;
}
