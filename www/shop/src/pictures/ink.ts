/** The colours one picture is drawn with. */
export interface Ink {
  readonly base: string;
  readonly dark: string;
  readonly deep: string;
  readonly light: string;
  readonly paper: string;
  readonly metal: string;
  readonly wood: string;
  readonly gold: string;
  readonly line: string;
  readonly glow: string;
  readonly leaf: string;
  /** 0…3, from the product's id: small differences between siblings. */
  readonly twist: number;
}

/** `body` takes the product's colour and pattern; the rest is drawn as it is, below and above it. */
export interface Drawing {
  readonly under?: string;
  readonly body: string;
  readonly over?: string;
}

export type Shape = (ink: Ink) => Drawing;

type Tones = readonly [base: string, dark: string, deep: string, light: string];

const TONES: Readonly<Record<string, Tones>> = {
  red: ["#d4504a", "#b03c39", "#8a2d2c", "#ec9089"],
  orange: ["#e5813c", "#c2662a", "#97501f", "#f5b486"],
  amber: ["#e9b144", "#c7902b", "#9b6f1e", "#f7d58d"],
  green: ["#6fa35a", "#548343", "#3f6532", "#a8cc97"],
  teal: ["#3f9a93", "#2d7a74", "#205c58", "#8bc7c1"],
  blue: ["#4a86c5", "#376aa1", "#29507b", "#94bce4"],
  indigo: ["#5a62b5", "#454c93", "#343a70", "#9ba1d8"],
  violet: ["#8d64b3", "#704d92", "#553a70", "#bf9fd9"],
  pink: ["#e08aa6", "#c06985", "#974e66", "#f2bccd"],
  brown: ["#97694a", "#775138", "#5a3d2a", "#c39e84"],
  black: ["#45403f", "#302c2b", "#1e1b1b", "#75706e"],
  white: ["#f7f3ec", "#d9d2c7", "#aba398", "#ffffff"],
  grey: ["#9b9792", "#7b7772", "#5d5a56", "#c4c0bb"],
  cream: ["#eeddbd", "#d0bb93", "#a5926d", "#f9efdc"],
};

const PLAIN: Tones = ["#b98a6a", "#976d50", "#73523b", "#dbb89e"];

export function inkFor(colour: string, twist: number): Ink {
  const [base, dark, deep, light] = TONES[colour] ?? PLAIN;
  return {
    base,
    dark,
    deep,
    light,
    paper: "#fffaf2",
    metal: "#c3beb6",
    wood: "#c0935f",
    gold: "#dcb35c",
    line: "#3d332d",
    glow: "#ffe7a8",
    leaf: "#7da867",
    twist,
  };
}

/** The pattern's own colour: dark marks on pale things, pale marks on the rest. */
export function markColour(colour: string, ink: Ink): string {
  return colour === "white" || colour === "cream"
    ? ink.deep
    : colour === "amber" || colour === "pink"
      ? ink.paper
      : ink.light;
}

/** An SVG `<pattern>`, or nothing for plain things. */
export function patternFor(pattern: string, id: string, mark: string): string {
  const open = (size: number, turn = 0): string =>
    `<pattern id="${id}" width="${size}" height="${size}" patternUnits="userSpaceOnUse" patternTransform="rotate(${turn})">`;
  switch (pattern) {
    case "stripes":
      return `${open(14)}<path d="M0 3.5h14" stroke="${mark}" stroke-width="5" opacity=".75"/></pattern>`;
    case "dots":
      return `${open(15, 30)}<circle cx="7.5" cy="7.5" r="3.1" fill="${mark}" opacity=".85"/></pattern>`;
    case "check":
      return `${open(20)}<path d="M0 0h10v20H0zM0 0h20v10H0z" fill="${mark}" opacity=".38"/></pattern>`;
    case "leaf":
      return `${open(24, 20)}<path d="M6 16c-1-7 3-11 10-12 0 7-3 11-10 12zM6 16l5-6" fill="${mark}" stroke="${mark}" stroke-width=".8" opacity=".75"/></pattern>`;
    default:
      return "";
  }
}
