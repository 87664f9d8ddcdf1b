//! How clean a source was: the report at the end of `prepare`.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use anyhow::{Result, ensure};
use onshelf_core::catalogue::Catalogue;
use onshelf_core::quality::{Reason, Rules};
use serde::{Deserialize, Serialize};

use super::arrange::Arranged;
use super::items::ItemTable;
use crate::dataset::PeriodInfo;

/// What a rule did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleReport {
    /// `duplicate`, `flood`, `bounce` or `robot`.
    pub rule: String,
    /// `applied`, `switched off`, or `not applicable: ` and why.
    pub state: String,
    /// Its numbers in words.
    pub limit: String,
    /// Clicks it dropped.
    pub dropped: u64,
}

/// Lengths of the kept sessions in clicks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LengthQuantiles {
    /// Mean.
    pub mean: f64,
    /// Shortest.
    pub min: usize,
    /// First quartile.
    pub p25: usize,
    /// Median.
    pub p50: usize,
    /// Third quartile.
    pub p75: usize,
    /// Nine in ten are at most this long.
    pub p90: usize,
    /// Ninety-nine in a hundred are at most this long.
    pub p99: usize,
    /// Longest.
    pub max: usize,
}

/// What came in, what was kept, and why the rest was not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QualityReport {
    /// Rows read: one per event, header and empty lines not counted.
    pub rows: u64,
    /// Rows that are now clicks.
    pub kept: u64,
    /// Bad rows by reason; `quarantine.tsv` names each.
    pub quarantined: BTreeMap<String, u64>,
    /// Good rows that were filtered, by reason: those of the rules, `no_item` (searches),
    /// `rare_item` and `short_session`.
    pub filtered: BTreeMap<String, u64>,
    /// What each rule did.
    pub rules: Vec<RuleReport>,
    /// Sessions dropped whole as a robot's.
    pub robot_sessions: usize,
    /// Sessions kept.
    pub sessions: usize,
    /// Items in the catalogue.
    pub items: usize,
    /// Of these, without a click.
    pub items_without_clicks: usize,
    /// Clicks kept; the same number as `kept`.
    pub clicks: u64,
    /// The periods.
    pub periods: Vec<PeriodInfo>,
    /// Lengths of the sessions.
    pub lengths: LengthQuantiles,
    /// Of the clicks that follow another one: the share on an item that the session had before.
    pub repeat_share: f64,
    /// Rows of the item table; 0 without one.
    pub item_rows: u64,
    /// Bad rows of the item table by reason. Of a `duplicate_id`, the first row counts.
    pub item_rows_quarantined: BTreeMap<String, u64>,
    /// What else to know.
    pub notes: Vec<String>,
}

impl QualityReport {
    pub(super) fn new(
        catalogue: &Catalogue,
        periods: &[PeriodInfo],
        shapes: &Shapes,
        arranged: &Arranged,
        items: &ItemTable,
        rows: u64,
    ) -> Self {
        let last = u32::try_from(catalogue.len()).unwrap_or(u32::MAX);
        let clicks = arranged.clicks as u64;
        Self {
            rows,
            kept: clicks,
            quarantined: BTreeMap::new(),
            filtered: arranged.filtered.clone(),
            rules: Reason::ALL.map(|reason| rule(reason, arranged)).to_vec(),
            robot_sessions: arranged.robots,
            sessions: arranged.sessions,
            items: catalogue.len(),
            items_without_clicks: (1..=last).filter(|&i| !catalogue.is_trained(i)).count(),
            clicks,
            periods: periods.to_vec(),
            lengths: shapes.lengths(),
            repeat_share: shapes.repeat_share(),
            item_rows: items.rows,
            item_rows_quarantined: items.quarantined.clone(),
            notes: Vec::new(),
        }
    }

    /// Checks that every row is accounted for.
    pub(super) fn check(&self) -> Result<()> {
        let quarantined: u64 = self.quarantined.values().sum();
        let filtered: u64 = self.filtered.values().sum();
        ensure!(
            self.rows == self.kept + quarantined + filtered,
            "{} rows were read, but {} kept, {quarantined} quarantined and {filtered} filtered",
            self.rows,
            self.kept
        );
        Ok(())
    }

    /// The report as a table for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = Text::default();
        text.line("rows read", self.rows, "");
        text.line("  kept as clicks", self.kept, &share(self.kept, self.rows));
        for (reason, &rows) in &self.filtered {
            text.line(&format!("  filtered: {reason}"), rows, &share(rows, self.rows));
        }
        for (reason, &rows) in &self.quarantined {
            text.line(&format!("  quarantined: {reason}"), rows, &share(rows, self.rows));
        }
        text.line("sessions", self.sessions, "");
        text.line("items", self.items, &format!("{} without a click", self.items_without_clicks));
        let LengthQuantiles { mean, min, p25, p50, p75, p90, p99, max } = self.lengths;
        text.line(
            "clicks a session",
            format!("{mean:.2}"),
            &format!("min {min}, 25 % {p25}, 50 % {p50}, 75 % {p75}, 90 % {p90}, 99 % {p99}, max {max}"),
        );
        text.line("repeated items", format!("{:.2} %", self.repeat_share * 100.0), "of all next clicks");
        if self.item_rows > 0 {
            text.line("item rows read", self.item_rows, "");
            for (reason, &rows) in &self.item_rows_quarantined {
                text.line(&format!("  quarantined: {reason}"), rows, "");
            }
        }
        text.0.push_str("\nrules\n");
        for rule in &self.rules {
            let RuleReport { rule, state, limit, dropped } = rule;
            text.push(format_args!("  {rule:<10} {dropped:>10}  {state} ({limit})\n"));
        }
        text.push(format_args!("  sessions dropped as a robot's: {}\n", self.robot_sessions));
        text.push(format_args!(
            "\n{:>6} {:>10} {:>10} {:>10}\n",
            "period", "sessions", "clicks", "new items"
        ));
        for period in &self.periods {
            let PeriodInfo { period, sessions, clicks, new_items, .. } = period;
            text.push(format_args!("{period:>6} {sessions:>10} {clicks:>10} {new_items:>10}\n"));
        }
        text.0.push_str("\nnotes\n");
        for note in &self.notes {
            text.push(format_args!("  {note}\n"));
        }
        text.0
    }
}

/// A table under construction.
#[derive(Default)]
struct Text(String);

impl Text {
    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.0.write_fmt(text);
    }

    fn line(&mut self, what: &str, value: impl ToString, remark: &str) {
        let line = format!("{what:<32} {:>12}  {remark}", value.to_string());
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }
}

fn share(part: u64, whole: u64) -> String {
    format!("{:.2} %", part as f64 * 100.0 / whole.max(1) as f64)
}

/// `3 bad_time, 1 not_utf8`
pub(super) fn list(counts: &BTreeMap<String, u64>) -> String {
    let each: Vec<_> = counts.iter().map(|(reason, rows)| format!("{rows} {reason}")).collect();
    if each.is_empty() { "nothing".to_owned() } else { each.join(", ") }
}

/// What the report tells about the shapes of sessions, which are seen one by one.
#[derive(Default)]
pub(super) struct Shapes {
    /// How many sessions have each length.
    lengths: BTreeMap<usize, usize>,
    sessions: usize,
    clicks: usize,
    repeats: u64,
    targets: u64,
    /// Of the session at hand; kept for its memory.
    seen: HashSet<u32>,
}

impl Shapes {
    /// Counts a session's items in.
    pub(super) fn push(&mut self, session: &[u32]) {
        *self.lengths.entry(session.len()).or_default() += 1;
        self.sessions += 1;
        self.clicks += session.len();
        self.seen.clear();
        let distinct = session.iter().filter(|item| self.seen.insert(**item)).count();
        self.repeats += (session.len() - distinct) as u64;
        self.targets += session.len().saturating_sub(1) as u64;
    }

    /// The share of clicks, other than the first of their session, on an item that the session had
    /// before.
    fn repeat_share(&self) -> f64 {
        if self.targets == 0 { 0.0 } else { self.repeats as f64 / self.targets as f64 }
    }

    /// The length below or at which the share `q` (0 to 1) of the sessions lies.
    fn quantile(&self, q: f64) -> usize {
        let rank = ((q * self.sessions as f64).ceil() as usize).clamp(1, self.sessions.max(1));
        let mut below = 0;
        let reached = self.lengths.iter().find(|(_, sessions)| {
            below += **sessions;
            below >= rank
        });
        reached.map_or(0, |(&length, _)| length)
    }

    fn lengths(&self) -> LengthQuantiles {
        LengthQuantiles {
            mean: self.clicks as f64 / self.sessions.max(1) as f64,
            min: self.quantile(0.0),
            p25: self.quantile(0.25),
            p50: self.quantile(0.5),
            p75: self.quantile(0.75),
            p90: self.quantile(0.9),
            p99: self.quantile(0.99),
            max: self.quantile(1.0),
        }
    }
}

fn rule(reason: Reason, arranged: &Arranged) -> RuleReport {
    let rules = &arranged.rules;
    let (on, limit) = match reason {
        Reason::Duplicate => {
            (rules.duplicates, format!("same item and kind within {} ms", rules.duplicate_window_ms))
        }
        Reason::Flood => (rules.floods, flood_limit(rules)),
        Reason::Bounce => (rules.bounces, format!("view left within {} ms", rules.bounce_dwell_ms)),
        Reason::Robot => {
            (rules.robots, format!("session of more than {} clicks", rules.max_clicks_per_session))
        }
    };
    let state = match arranged.not_applicable.get(reason.as_str()) {
        Some(why) => format!("not applicable: {why}"),
        None if on => "applied".to_owned(),
        None => "switched off".to_owned(),
    };
    RuleReport {
        rule: reason.as_str().to_owned(),
        state,
        limit,
        dropped: arranged.filtered.get(reason.as_str()).copied().unwrap_or(0),
    }
}

fn flood_limit(rules: &Rules) -> String {
    format!("more than {} clicks within {} ms", rules.flood_clicks, rules.flood_window_ms)
}
