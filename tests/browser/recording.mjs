/** A made recording of a GA4 `dataLayer`: what a shop with Tag Manager and gtag.js pushes, visit by visit. */

/** Numbers without chance: mulberry32. */
function numbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * `visits` are lists of entries `{ after_ms, entry }`; an entry is an object as Tag Manager has it, or, where `gtag` is
 * true, the arguments of `gtag`. `expected` are what a session should hold, visit by visit: `[event, item_id]`, searches
 * and notices left out.
 *
 * @param {string[]} ids items of the shop
 * @param {number} count GA4 e-commerce events, however many items each has
 */
export function recording(ids, count, seed = 7) {
  const random = numbers(seed);
  const below = (n) => Math.floor(random() * n);
  const visits = [];
  let made = 0;
  let searches = 0;
  let noticed = 0;
  while (made < count) {
    const entries = [];
    const expected = [];
    // Neighbours in the list are what one visit looks at; no item comes twice in a row.
    const around = below(ids.length);
    let last = -1;
    const pick = () => {
      let at = last;
      while (at === last) at = (around + below(30)) % ids.length;
      last = at;
      return ids[at];
    };
    const item = (item_id, index) => ({
      item_id,
      item_name: `Thing ${item_id}`,
      item_brand: "Ashgrove Lane",
      item_category: "Home",
      item_list_id: "related_products",
      index,
      price: 10 + below(900) / 10,
      quantity: 1 + below(3),
    });
    const noise = (entry, after_ms = 40) => entries.push({ after_ms, entry });
    const say = (event, items, more = {}) => {
      if (made === count) return;
      made++;
      const params = { currency: "EUR", ...more, ...(items && { items }) };
      const after_ms = 1_500 + below(40_000);
      if (random() < 0.3) entries.push({ after_ms, gtag: true, entry: ["event", event, params] });
      else {
        noise({ ecommerce: null }, after_ms);
        noise({ event, ecommerce: params }, 0);
      }
      if (event === "search") searches++;
      else if (["view_item_list", "begin_checkout", "view_cart"].includes(event)) noticed++;
      else for (const { item_id } of items) expected.push([event, item_id]);
    };
    noise({ "gtm.start": 1_767_600_000_000, event: "gtm.js" });
    noise({ event: "gtm.dom" });
    const cart = [];
    const steps = 4 + below(12);
    for (let step = 0; step < steps; step++) {
      if (random() < 0.25) say("search", null, { search_term: `thing ${step}` });
      const list = Array.from({ length: 6 }, (_, index) => item(ids[below(ids.length)], index));
      if (random() < 0.5) say("view_item_list", list, { item_list_id: "related_products" });
      const chosen = item(pick(), 0);
      if (random() < 0.4) say("select_item", [chosen]);
      say("view_item", [chosen]);
      noise({ event: "scroll", percent: 90 });
      if (random() < 0.3 && !cart.some(({ item_id }) => item_id === chosen.item_id)) {
        cart.push(chosen);
        say("add_to_cart", [chosen]);
      }
    }
    if (cart.length > 1 && random() < 0.3) say("remove_from_cart", [cart.shift()]);
    if (cart.length > 0) {
      say("view_cart", cart);
      if (random() < 0.6) {
        say("begin_checkout", cart);
        say("purchase", cart, { transaction_id: `T${made}`, value: 12.5 });
      }
    }
    visits.push({ entries, expected });
  }
  return { visits, made, searches, noticed };
}
