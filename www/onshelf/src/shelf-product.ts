/** What a page tells `<onshelf-shelf>` about its products, and how that becomes elements. */

/** What is shown of an item. A page may add fields of its own, for its templates. */
export interface ShelfProduct {
  name: string;
  /** Address of the item's page; only `http`, `https` and addresses within the site are linked. */
  url?: string;
  /** Address of a picture. */
  image?: string;
  /** A number is written by the element's language and `currency`; text is shown as it is. */
  price?: number | string;
  [field: string]: unknown;
}

/** Where products come from: by id at hand, or fetched for a shelf. What is missing is not shown. */
export type ShelfProducts =
  | ReadonlyMap<string, ShelfProduct>
  | Readonly<Record<string, ShelfProduct>>
  | ((
      item_ids: readonly string[],
    ) =>
      | Iterable<ShelfProduct | null | undefined>
      | Promise<Iterable<ShelfProduct | null | undefined>>);

/** The products of some items, in their order; without those that there are none of. */
export async function productsOf(
  products: ShelfProducts,
  item_ids: readonly string[],
): Promise<Map<string, ShelfProduct>> {
  const found =
    typeof products === "function"
      ? [...(await products(item_ids))]
      : item_ids.map((id) =>
          products instanceof Map
            ? (products as ReadonlyMap<string, ShelfProduct>).get(id)
            : Object.hasOwn(products, id)
              ? (products as Readonly<Record<string, ShelfProduct>>)[id]
              : undefined,
        );
  return new Map(item_ids.flatMap((id, at) => (found[at] ? [[id, found[at]]] : [])));
}

/** A link that may be followed, or `null`: data must not become a script. */
export function safeUrl(value: unknown): string | null {
  if (typeof value !== "string" && !(value instanceof URL)) return null;
  try {
    const { protocol } = new URL(value, document.baseURI);
    return protocol === "https:" || protocol === "http:" ? String(value) : null;
  } catch {
    return null;
  }
}

/** A price in words. */
export function priceText(
  price: unknown,
  lang: string | undefined,
  currency: string | null,
): string {
  if (typeof price !== "number") return typeof price === "string" ? price : "";
  try {
    const style = currency ? ({ style: "currency", currency } as const) : {};
    return new Intl.NumberFormat(lang || undefined, style).format(price);
  } catch {
    // A language or a currency that nobody knows.
    return String(price);
  }
}

/** What a template may set: `data-onshelf-text="name"` and so on. */
const BINDINGS = ["text", "href", "src", "alt", "title", "aria-label"] as const;

/**
 * Fills a clone of a page's template: `data-onshelf-text="field"` sets an element's text, `-href`, `-src`, `-alt`,
 * `-title` and `-aria-label` the attribute. A field that an item lacks takes the attribute, or the text, away.
 */
export function fillTemplate(root: Element, value: (field: string) => unknown): void {
  for (const element of [root, ...root.querySelectorAll("*")]) {
    for (const name of BINDINGS) {
      const field = element.getAttribute(`data-onshelf-${name}`);
      if (field === null) continue;
      const found = value(field);
      const text = found === undefined || found === null ? null : String(found);
      if (name === "text") element.textContent = text ?? "";
      else setAttribute(element, name, name === "href" || name === "src" ? safeUrl(found) : text);
    }
  }
}

function setAttribute(element: Element, name: string, value: string | null): void {
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}
