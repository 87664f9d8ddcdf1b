/** Answers that `onshelf console` might give, made up; times are relative to `now`, seconds since 1970. */

const HOUR = 3_600;
const DAY = 24 * HOUR;
const hex = (seed) => String(seed).padStart(4, "0").repeat(16);

export const EMPTY = (now) => ({
  generated: now,
  notice: "",
  aggregators: ["leader", "helper"].map((role) => ({
    role,
    url: `https://${role}.shop.example/`,
    error: null,
    tasks: [],
  })),
  lineages: [],
  versions: [],
});

export const NOTICE =
  "Leader and helper run in one process: whoever operates it holds both shares of every report and can put them " +
  "together. There is no secrecy against that operator. For development and demonstration.";

function task(now, number, more = {}) {
  return {
    task: `task-${number}-AbCdEfGhIjKlMnOpQrStUv`,
    model: hex(number),
    lineage: "shop",
    round: number,
    epsilon: 1.21,
    delta: 1e-6,
    noise_multiplier: 3.5678,
    min_batch: 1000,
    start: now - 20 * HOUR,
    expires: now + 4 * HOUR + 1500,
    waiting: 0,
    aggregated: 0,
    collected: 0,
    rejected: {},
    ...more,
  };
}

/** What the canary might say: the gain of the whole, and one segment that loses where it is refused. */
const verdict = (gain, reasons = []) => ({
  differences: [
    { segment: "all", gain, error: 0.0011, sessions: 1500 },
    { segment: "early_clicks", gain: gain + 0.0009, error: 0.0014, sessions: 1320 },
    { segment: "late_clicks", gain: gain - 0.0004, error: 0.0016, sessions: 870 },
    { segment: "after_known_items", gain: gain + 0.0006, error: 0.0012, sessions: 1410 },
    {
      segment: "after_rare_items",
      gain: reasons.length ? -0.0093 : 0.0002,
      error: 0.0031,
      sessions: 402,
    },
  ],
  reasons,
});

function round(now, number, stage, more = {}) {
  return {
    number,
    task: `task-${number}-AbCdEfGhIjKlMnOpQrStUv`,
    model: hex(number),
    part: { first: 0, count: 4 },
    stage,
    reports: null,
    epsilon: 1.21,
    released_at: null,
    ...more,
  };
}

function version(now, number, gain, more = {}) {
  return {
    at: now - (20 - number) * DAY,
    event: "published",
    version: `demo-${hex(number).slice(0, 8)}`,
    digest: hex(number),
    created: now - (20 - number) * DAY - 90,
    serving: false,
    metrics: {
      validation_recall_20: 0.4112 + number / 1000,
      validation_mrr_20: 0.1524 + number / 1000,
      ...(gain === null ? {} : { canary_ndcg_20_gain: gain, canary_ndcg_20_gain_error: 0.0011 }),
    },
    ...more,
  };
}

const published = (number, gain) => ({
  published: { version: `demo-${hex(number).slice(0, 8)}`, verdict: verdict(gain) },
});

/** Round 4 takes reports; three were published, one of them rolled back, and one was given up. */
export function MID_ROUND(now) {
  const status = EMPTY(now);
  const old = { start: now - 7 * DAY, expires: now - 6 * DAY, collected: 1211 };
  const rejected = { replayed: 14, "proof-failed": 3, "not-opened": 2, "too-early": 1 };
  status.aggregators[0].tasks = [
    task(now, 4, { aggregated: 612, waiting: 140, rejected }),
    task(now, 3, { ...old, rejected: { replayed: 5 } }),
  ];
  status.aggregators[1].tasks = [
    task(now, 4, { aggregated: 600, rejected: { "proof-failed": 3, "not-opened": 9 } }),
    task(now, 3, old),
  ];
  status.lineages = [
    {
      lineage: "shop",
      budget: 4,
      delta: 1e-6,
      releases: 3,
      epsilon: 2.183,
      epsilon_of_all: 2.183,
      rounds: [
        round(now, 0, published(1, 0.0021), { reports: 1043, released_at: now - 19 * DAY }),
        round(now, 1, "given_up"),
        round(now, 2, published(2, 0.0034), { reports: 1630, released_at: now - 12 * DAY }),
        round(now, 3, published(3, 0.0012), { reports: 1211, released_at: now - 6 * DAY }),
        round(now, 4, "open"),
      ],
    },
  ];
  status.versions = [
    version(now, 0, null),
    version(now, 1, 0.0021),
    version(now, 8, 0.0034, { version: `demo-${hex(2).slice(0, 8)}`, digest: hex(2) }),
    version(now, 14, 0.0012, { version: `demo-${hex(3).slice(0, 8)}`, digest: hex(3) }),
    version(now, 15, 0.0034, {
      event: "rolled_back",
      version: `demo-${hex(2).slice(0, 8)}`,
      digest: hex(2),
      serving: true,
    }),
  ];
  return status;
}

/** The newest round was refused, and its budget is used up. */
export function REFUSED(now) {
  const status = MID_ROUND(now);
  const [lineage] = status.lineages;
  const reasons = ["worse in AfterRareItems: -0.00930 ± 0.00310 in MRR@20"];
  lineage.rounds[4] = round(
    now,
    4,
    { refused: { verdict: verdict(0.0008, reasons) } },
    { reports: 1002, released_at: now - HOUR },
  );
  lineage.epsilon = 4;
  lineage.epsilon_of_all = 4.41;
  lineage.releases = 4;
  for (const { tasks } of status.aggregators) tasks[0].expires = now - HOUR;
  return status;
}

export function HELPER_DOWN(now) {
  const status = MID_ROUND(now);
  Object.assign(status.aggregators[1], { error: "connection refused", tasks: [] });
  return status;
}

export const EMBEDDED = (now) => ({ ...MID_ROUND(now), notice: NOTICE });

/** Three years of weekly rounds in two lineages, with long names. */
export function LONG(now) {
  const status = MID_ROUND(now);
  const name = "a-lineage-with-a-long-name-for-the-outlet-shop.eu-central_2";
  status.lineages[0].rounds = Array.from({ length: 150 }, (_, n) =>
    round(
      now,
      n,
      n === 149
        ? "open"
        : n % 9 === 4
          ? { refused: { verdict: verdict(-0.001, ["no gain in all: -0.00100 in MRR@20"]) } }
          : published(n, 0.002 + (n % 7) / 5000),
      {
        reports: n === 149 ? null : 1000 + ((n * 7919) % 9000),
        released_at: n === 149 ? null : now - (150 - n) * 7 * DAY,
      },
    ),
  );
  status.lineages.push({
    ...status.lineages[0],
    lineage: name,
    rounds: [round(now, 0, { released: 12_345 }, { reports: 12_345, released_at: now - 60 })],
  });
  status.versions = Array.from({ length: 130 }, (_, n) =>
    version(now, n, ((n * 31) % 11) / 2000 - 0.001, {
      at: now - (130 - n) * 7 * DAY,
      serving: n === 129,
    }),
  );
  return status;
}
