/**
 * What `onshelf console` answers at `status.json`. Every part may have more fields than these. Times are seconds
 * since 1970, gains are differences of NDCG@20 (0 to 1).
 */

/** One task as one aggregator sees it. */
export interface TaskStatus {
  readonly task: string;
  readonly model: string;
  readonly lineage: string;
  readonly round: number;
  readonly epsilon: number;
  readonly delta: number;
  readonly noise_multiplier: number;
  /** Fewest reports that may be released together. */
  readonly min_batch: number;
  readonly start: number;
  readonly expires: number;
  /** Reports that wait to be verified. */
  readonly waiting: number;
  /** Reports summed, in batches that were not collected. */
  readonly aggregated: number;
  /** Reports summed, in batches that were. */
  readonly collected: number;
  /** Refused reports by reason. */
  readonly rejected: Readonly<Record<string, number>>;
}

/** What one aggregator answered, or why it did not. */
export interface Aggregator {
  readonly role: "leader" | "helper";
  readonly url: string;
  readonly error: string | null;
  readonly tasks: readonly TaskStatus[];
}

/** A segment of shoppers in the canary's judgement. */
export interface Difference {
  readonly segment: string;
  readonly gain: number;
  /** Standard error of the gain. */
  readonly error: number;
  readonly sessions: number;
}

/** What the canary said of a new version. */
export interface Verdict {
  readonly differences: readonly Difference[];
  readonly reasons: readonly string[];
}

/** How far a round came. */
export type Stage =
  | "open"
  | "given_up"
  | { readonly released: number }
  | { readonly published: { readonly version: string; readonly verdict: Verdict } }
  | { readonly refused: { readonly verdict: Verdict } };

/** One round of a lineage. */
export interface Round {
  readonly number: number;
  readonly task: string;
  readonly model: string;
  readonly part?: unknown;
  readonly stage: Stage;
  readonly reports: number | null;
  readonly epsilon: number;
  readonly released_at: number | null;
}

/** A line of models, which has one privacy budget. */
export interface Lineage {
  readonly lineage: string;
  readonly budget: number;
  readonly delta: number;
  readonly releases: number;
  /** Spent by a shopper who took part as often as browsers allow. */
  readonly epsilon: number;
  /** Spent by a shopper who took part in every round, which browsers refuse. */
  readonly epsilon_of_all: number;
  readonly rounds: readonly Round[];
}

/** An entry of the public log of versions. */
export interface Version {
  readonly at: number;
  readonly event: "published" | "rolled_back";
  readonly version: string;
  readonly digest: string;
  readonly created: number;
  readonly serving: boolean;
  readonly metrics: Readonly<Record<string, number>>;
}

/** The whole answer. */
export interface Status {
  readonly generated: number;
  readonly notice: string;
  readonly aggregators: readonly Aggregator[];
  readonly lineages: readonly Lineage[];
  readonly versions: readonly Version[];
}

const list = (value: unknown): boolean => Array.isArray(value);

/** Whether an answer is one of ours; what lies deeper is checked where it is drawn. */
export function isStatus(value: unknown): value is Status {
  if (typeof value !== "object" || value === null) return false;
  const it = value as Record<string, unknown>;
  return (
    typeof it["generated"] === "number" &&
    list(it["aggregators"]) &&
    list(it["lineages"]) &&
    list(it["versions"])
  );
}
