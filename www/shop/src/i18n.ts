/** Every word the shop says, in one place. Another language is another table of this type. */

export const en = {
  skip: "Skip to the products",
  home: "Shop",
  departments: "Departments",
  searchLabel: "Search products",
  searchHint: "Search mugs, sneakers, brands…",
  searchGo: "Search",
  toDark: "Switch to dark colours",
  toLight: "Switch to light colours",
  basketLink: (count: number) => `Basket, ${count === 1 ? "1 product" : `${count} products`}`,
  basket: "Basket",
  footer: "A demonstration shop: the products are invented and nothing is sold.",
  loadingShop: "Opening the shop…",
  shopFailed: "The product list could not be loaded",
  shopFailedHelp: "Check the connection and reload the page.",

  heroTitle: "This shop learns on your device. Your clicks never leave it.",
  heroText:
    "Open a few things you like, or add them to the basket. The shelves below reorder themselves within moments, with no server involved.",
  heroHow: "See what it has learned",

  forYou: "For you",
  forYouCold: "Open or add a product and watch this shelf change.",
  forYouWarm: "Ranked in your browser from what you looked at.",
  popularInstead: "Popular products, until your shelf is ready.",
  popularOnly: "Popular products: your own shelf is not available right now.",
  continueShelf: "Continue browsing",
  popular: "Popular now",
  fromDepartment: (name: string) => `From ${name}`,
  seeAll: (name: string) => `See all of ${name}`,
  seeAllShort: "See all",
  similar: "Similar items",
  becauseOf: (name: string) => `Because you looked at ${name}`,
  scrollBack: (shelf: string) => `${shelf}: scroll back`,
  scrollOn: (shelf: string) => `${shelf}: scroll on`,
  reranked: (shelf: string, moved: number) =>
    `${shelf} was re-ranked: ${moved === 1 ? "1 product" : `${moved} products`} moved.`,
  movedUp: (places: number) => `▲ ${places}`,
  isNew: "new",

  why: "Why this?",
  whyFor: (name: string) => `Why this? ${name}`,
  whyTitle: "Why this product?",
  whyIntro: "These clicks of yours, kept on this device, counted most:",
  whyNone: "None of your clicks counts for it yet. It is shown because many shoppers like it.",
  whyFailed: "No explanation is available for this product right now.",
  whyAsking: "Looking it up on your device…",
  whyPersonal: (points: string) => `${points} of its score was learned from you, on this device.`,
  whyNotPersonal: "Nothing of its score comes from what was learned on this device.",
  whyAgo: (clicks: number) =>
    clicks <= 0
      ? "your last click"
      : clicks === 1
        ? "one click earlier"
        : `${clicks} clicks earlier`,
  whyAgainst: "counted against it",
  close: "Close",

  add: "Add to basket",
  addShort: (name: string) => `Add ${name} to the basket`,
  added: (name: string) => `${name} is in your basket.`,
  soldOut: "Sold out",
  lastOnes: (count: number) => `Only ${count} left`,
  inStock: (count: number) => `In stock (${count})`,
  noMore: "That is all there is in stock.",
  productMissing: "This product is not in the shop.",
  categoryMissing: "There is no such department.",
  backHome: "Back to the home page",
  by: (brand: string) => `by ${brand}`,
  facts: "Product facts",
  factColour: "Colour",
  factPattern: "Pattern",
  factId: "Article",
  factWhere: "Department",
  pictureOf: (colour: string, pattern: string, leaf: string) =>
    `Drawing: ${colour} ${pattern === "plain" ? "" : `${pattern} `}${leaf}`,
  crumbs: "You are here",

  rankedForYou: "Order: for you",
  rankedBlend: "Order: what fits your words and you",
  rankedPopular: "Order: popular first",
  found: (count: number) => (count === 1 ? "1 product" : `${count} products`),
  filters: "Filter",
  priceFrom: "Price from",
  priceTo: "to",
  onlyInStock: "In stock only",
  clearFilters: "Clear",
  nothingHere: "No product fits these filters.",
  showMore: (count: number) => `Show ${count} more`,
  subcategories: "Subcategories",

  resultsFor: (query: string) => `Results for “${query}”`,
  searchTitle: "Search",
  searchEmpty: "Type what you are looking for.",
  nothingFound: (query: string) =>
    `Nothing fits “${query}”. Try a shorter word, a brand or a colour.`,

  basketEmpty: "Your basket is empty.",
  fewer: (name: string) => `One ${name} fewer`,
  more: (name: string) => `One ${name} more`,
  quantity: "Quantity",
  remove: "Remove",
  removeNamed: (name: string) => `Remove ${name}`,
  total: "Total",
  each: "each",
  buy: "Buy (demo)",
  buyNote: "This is a demonstration. Nothing is charged, sent or delivered.",
  thanksTitle: "Thank you!",
  thanksText:
    "This was a demonstration: nothing was charged and nobody was told. Your shelf, on this device, did learn from it.",
  keepLooking: "Keep looking around",

  notice: "Notice",
  dismiss: "Dismiss",
  modelFailed: "The shop works, but its shelves are not personal right now.",
  modelFailedCode: (code: string) => `Code: ${code}`,
  keysFailed:
    "The public keys of the model (models/public-keys.json) could not be read. Reload the page, or publish the keys next to the model.",
  unknownRemedy: "Reload the page. If it happens again, try another browser.",
  deviceFailed: "The device could not be switched.",
  exportFailed: "The export did not work.",
  eraseFailed: "Erasing did not work.",
  pauseFailed: "Pausing or resuming did not work.",
  lostEvent: "A click could not be taken into account.",

  panelTitle: "On your device",
  panelOpen: "Show what happens on your device",
  panelShut: "Hide what happens on your device",
  panelLoading: "Loading the model",
  panelFailed: "No model: showing popular products",
  panelReady: "Learning here, from your clicks only",
  panelPaused: "Paused: your clicks change nothing",
  device: "Runs on",
  adapter: "Adapter",
  version: "Model version",
  rankTime: "Last ranking",
  learnTime: "Last learning step",
  steps: "Learning steps",
  clicks: "Clicks this session",
  stored: "Stored here",
  notStored: "nothing (storage off)",
  storageUnavailable: "not available in this window",
  uploaded: "Uploaded so far: nothing",
  uploadedRounds: (taken: number, left: number) =>
    `Uploaded: ${taken === 1 ? "one sealed report" : `${taken} sealed reports`}, no clicks. At most ${left} more within a year.`,
  learnedTitle: "What it has learned",
  learnedNone: "Nothing yet. Open a product you like.",
  learnedLess: "less",
  pause: "Pause",
  resume: "Resume",
  exportData: "Export",
  erase: "Erase",
  eraseTitle: "Erase what was learned?",
  eraseText:
    "Your clicks and everything learned from them are removed from this device. The shelves start over. This cannot be undone.",
  eraseYes: "Erase everything",
  cancel: "Cancel",
  erased: "Everything learned here was erased.",
  deviceSwitch: "Run on",
  cpu: "CPU",
  webgpu: "GPU",
  deviceNow: (name: string) => `Now running on the ${name}.`,
  gpc: "Your browser asks sites not to use your data (Global Privacy Control). Nothing is learned or kept here while it does.",
  none: "–",
  two: {
    link: "Two shoppers, side by side",
    title: "Two shoppers, one shop",
    intro:
      "The same shop twice, each with browser storage of its own, as on two devices. Shop a little on either side: the shelves drift apart, and no request tells the server of it.",
    back: "To the shop",
    go: "Let both shop",
    stop: "Stop",
    goHelp: "Each looks at a few products of one department, the two at different departments.",
    shopper: (name: string) => `Shopper ${name}`,
    frame: (name: string, host: string) => `The shop of shopper ${name}, at ${host}`,
    state: (clicks: number, steps: number) =>
      `${clicks === 1 ? "1 click" : `${number(clicks)} clicks`} this session, ${steps === 1 ? "1 learning step" : `${number(steps)} learning steps`}`,
    waiting: "The shelf is being made ready…",
    driftTitle: "How far the shelves have drifted apart",
    common: (share: string, common: number, all: number) =>
      `${share} in common: ${common} of the ${all} best products for either`,
    shared: "on both shelves",
    shelfOf: (name: string) => `The 12 best for shopper ${name}`,
    seenTitle: "What the server has seen",
    seenClicks: (clicks: number, requests: number) =>
      `Since both shelves were ready: ${clicks === 1 ? "1 click" : `${number(clicks)} clicks`}, ${requests === 1 ? "1 request" : `${number(requests)} requests`}.`,
    seenKinds: (requests: number, bodies: number) =>
      `In all ${number(requests)} requests, ${bodies === 0 ? "none of them with anything to send" : `${number(bodies)} of them with a body`}. Its whole list, without this page's own:`,
    seenNothing: "Nothing yet.",
    seenNoList: "This server keeps no list of what it was asked. Start it with --log.",
    method: "Method",
    path: "Path",
    from: (name: string) => `From ${name}`,
    files: "Files that the server was asked for, and by whom",
  },
  stages: {
    manifest: "reading the manifest",
    weights: "fetching the weights",
    catalogue: "fetching the catalogue",
    verify: "checking the signature",
    device: "waking the device",
    restore: "restoring what it knew",
  },
} as const;

export type Texts = typeof en;
export const t: Texts = en;
export const locale = "en";

export function money(amount: number, currency: string): string {
  return new Intl.NumberFormat(locale, { style: "currency", currency }).format(amount);
}

export function number(value: number): string {
  return new Intl.NumberFormat(locale, { maximumFractionDigits: 0 }).format(value);
}

export function percent(share: number): string {
  return new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 0 }).format(
    share,
  );
}

export function milliseconds(value: number | null): string {
  if (value === null) return t.none;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  if (value < 1024 * 1024) return `${(value / 1024).toFixed(1)} kB`;
  return `${(value / 1024 / 1024).toFixed(1)} MB`;
}
