/**
 * What a shop page in a frame of `two.html` tells it, and is told.
 *
 * Nothing of this exists outside the demonstration: a real shop's page tells nobody what its shelf
 * shows. So a page speaks only to a frame around it on this very machine and port.
 */

/** Names under which this machine serves the shop. To a browser each is another site with its own storage. */
export const HOSTS = ["localhost", "127.0.0.1"] as const;
export type Host = (typeof HOSTS)[number];

/** From the shop: what the shopper's shelf shows now. */
export interface ShelfMessage {
  readonly type: "onshelf-demo-shelf";
  /** The products of the "For you" shelf, best first. */
  readonly ids: readonly string[];
  readonly clicks: number;
  readonly steps: number;
}

/** To the shop: look at a product of this department, as a shopper would. */
export interface VisitMessage {
  readonly type: "onshelf-demo-visit";
  /** Which of the shop's departments. */
  readonly department: number;
  /** Which of its products, by popularity. */
  readonly place: number;
}

export function hostOf(name: string | null): Host | null {
  return HOSTS.find((host) => host === name) ?? null;
}

/** The same server under one of its names. */
export function originOf(host: Host): string {
  return `${location.protocol}//${host}${location.port === "" ? "" : `:${location.port}`}`;
}

function fields(data: unknown, type: string): Record<string, unknown> | null {
  if (typeof data !== "object" || data === null) return null;
  const message: Record<string, unknown> = { ...data };
  return message["type"] === type ? message : null;
}

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0;

export function readShelf(data: unknown): ShelfMessage | null {
  const message = fields(data, "onshelf-demo-shelf");
  if (message === null) return null;
  const { ids, clicks, steps } = message;
  if (!Array.isArray(ids) || !isCount(clicks) || !isCount(steps)) return null;
  const names = ids.filter((id): id is string => typeof id === "string");
  return { type: "onshelf-demo-shelf", ids: names, clicks, steps };
}

export function readVisit(data: unknown): VisitMessage | null {
  const message = fields(data, "onshelf-demo-visit");
  if (message === null) return null;
  const { department, place } = message;
  if (!isCount(department) || !isCount(place)) return null;
  return { type: "onshelf-demo-visit", department, place };
}
