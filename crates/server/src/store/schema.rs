//! Tables. The statements are the same for both databases but for the name of byte strings.

/// What is created where it is missing. `BYTES` is each database's own name.
pub(super) const TABLES: [&str; 11] = [
    "CREATE TABLE IF NOT EXISTS hpke_keys (
        id BIGINT PRIMARY KEY, public BYTES NOT NULL, private BYTES NOT NULL,
        created BIGINT NOT NULL, expires BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS tasks (
        id BYTES PRIMARY KEY, envelope BYTES NOT NULL, added BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS rejects (
        task BYTES NOT NULL, reason TEXT NOT NULL, n BIGINT NOT NULL, PRIMARY KEY (task, reason))",
    // State 0 waits, 1 is in a job, 2 is summed: its body is empty, its id stays against replays.
    "CREATE TABLE IF NOT EXISTS reports (
        task BYTES NOT NULL, id BYTES NOT NULL, time BIGINT NOT NULL, arrived BIGINT NOT NULL,
        state BIGINT NOT NULL, job BYTES NOT NULL, body BYTES NOT NULL, PRIMARY KEY (task, id))",
    "CREATE INDEX IF NOT EXISTS reports_by_state ON reports (task, state, arrived)",
    "CREATE INDEX IF NOT EXISTS reports_by_job ON reports (task, job)",
    // State 0 is to be done, 1 is done.
    "CREATE TABLE IF NOT EXISTS jobs (
        task BYTES NOT NULL, id BYTES NOT NULL, state BIGINT NOT NULL, lease BIGINT NOT NULL,
        holder BIGINT NOT NULL, attempts BIGINT NOT NULL, PRIMARY KEY (task, id))",
    "CREATE TABLE IF NOT EXISTS answers (
        task BYTES NOT NULL, id BYTES NOT NULL, request BYTES NOT NULL, response BYTES NOT NULL,
        PRIMARY KEY (task, id))",
    "CREATE TABLE IF NOT EXISTS buckets (
        task BYTES NOT NULL, start BIGINT NOT NULL, share BYTES NOT NULL, reports BIGINT NOT NULL,
        checksum BYTES NOT NULL, PRIMARY KEY (task, start))",
    // The share is empty while the batch is held.
    "CREATE TABLE IF NOT EXISTS released (
        task BYTES NOT NULL, start BIGINT NOT NULL, until BIGINT NOT NULL, share BYTES NOT NULL,
        reports BIGINT NOT NULL, checksum BYTES NOT NULL, first BIGINT NOT NULL, last BIGINT NOT NULL,
        PRIMARY KEY (task, start, until))",
    // State 0 waits, 2 is done, 3 has failed.
    "CREATE TABLE IF NOT EXISTS collections (
        task BYTES NOT NULL, id BYTES NOT NULL, request BYTES NOT NULL, start BIGINT NOT NULL,
        until BIGINT NOT NULL, state BIGINT NOT NULL, problem TEXT NOT NULL, result BYTES NOT NULL,
        lease BIGINT NOT NULL, holder BIGINT NOT NULL, attempts BIGINT NOT NULL, PRIMARY KEY (task, id))",
];

/// Tables with a column `task`.
pub(super) const OF_A_TASK: [&str; 7] =
    ["rejects", "reports", "jobs", "answers", "buckets", "released", "collections"];
