//! `onshelf prepare`: from a shop's logs to a [`Dataset`].
//!
//! Rows are read by the reader of their [`Layout`], checked and collected, made into sessions,
//! cleaned by the stated rules of [`onshelf_core::quality`] and put in temporal order. No row
//! disappears silently: each is kept, or counted under the reason for which it was filtered, or
//! written to `quarantine.tsv` with its file, line and reason.
//!
//! The data set is replaced only when all of the new one is ready, so an interrupted run leaves an
//! older one as it was (and at most files with names like `.quarantine.tsv.tmp`, which the next
//! run replaces).

mod collect;
mod columns;
mod csv;
mod input;
mod items;
mod layout;
mod parquet;
mod periods;
mod recbole;
mod report;
mod rsc15;
mod sequences;
mod sessions;
mod time;

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use onshelf_core::catalogue::{Catalogue, CatalogueBuilder};
use onshelf_core::event::EventKind;
use onshelf_core::quality::Rules;

use crate::dataset::{Dataset, Origin, Sessions};
use crate::progress::Progress;

use collect::Collector;
pub use columns::ColumnMap;
use items::ItemTable;
pub use layout::Layout;
pub use report::{LengthQuantiles, QualityReport, RuleReport};
use sessions::{Arranged, Event};
pub use time::TimeUnit;

/// What to prepare and how. [`PrepareOptions::new`] gives the defaults.
#[derive(Debug, Clone)]
pub struct PrepareOptions {
    /// A log file, or a folder of them. Of a folder of CSV files, one named `items` is the item
    /// table.
    pub input: PathBuf,
    /// The folder of the data set.
    pub output: PathBuf,
    /// How the input is laid out; `None` looks at it.
    pub layout: Option<Layout>,
    /// The name of the data set in tables; `None` takes that of the input.
    pub name: Option<String>,
    /// Names of the log's columns, where they are not the usual ones. Where both a session and a
    /// user are named here, session ids need only be unique for each user, as GA4's
    /// `ga_session_id` is.
    pub columns: ColumnMap,
    /// The byte between columns; `None` looks at the first line.
    pub delimiter: Option<u8>,
    /// Whether the first line of a delimited file is data; columns are then named by their
    /// number, from 1.
    pub no_header: bool,
    /// What the numbers in the time column are.
    pub time_unit: TimeUnit,
    /// Attributes of items: CSV or TSV with a header, or JSON lines.
    pub items: Option<PathBuf>,
    /// Names of the columns of [`Self::items`].
    pub item_columns: ColumnMap,
    /// For [`Layout::Sequences`]: a JSON object from item to its attribute ids.
    pub item_attributes: Option<PathBuf>,
    /// Length of a period in days, counted from the first click; `None` keeps the periods of the
    /// layout, or makes everything period 0.
    pub period_days: Option<u32>,
    /// Sessions of fewer clicks are dropped. `None` is 2 for logs, since one click has no next
    /// one to learn from, and 1 for [`Layout::Periods`] and [`Layout::Sequences`], which somebody
    /// prepared already.
    pub min_session: Option<usize>,
    /// Items of fewer clicks are dropped.
    pub min_item_count: usize,
    /// Where a log has users and no sessions: so many minutes without a click end a session.
    pub inactivity_minutes: u32,
    /// Where a log has users and no sessions: make each user's whole history one sequence.
    pub user_history: bool,
    /// The rules for clean data, with their switches.
    pub rules: Rules,
}

impl PrepareOptions {
    /// Prepares `input` into `output` with everything else at its default.
    #[must_use]
    pub fn new(input: impl Into<PathBuf>, output: impl Into<PathBuf>) -> Self {
        Self {
            input: input.into(),
            output: output.into(),
            layout: None,
            name: None,
            columns: ColumnMap::default(),
            delimiter: None,
            no_header: false,
            time_unit: TimeUnit::Auto,
            items: None,
            item_columns: ColumnMap::default(),
            item_attributes: None,
            period_days: None,
            min_session: None,
            min_item_count: 1,
            inactivity_minutes: 30,
            user_history: false,
            rules: Rules::default(),
        }
    }

    /// Switches off the rules of a list such as `robots,duplicates` (`--no-filter`).
    ///
    /// # Errors
    ///
    /// When a name is none of robots, duplicates, bounces, floods.
    pub fn no_filter(&mut self, names: &str) -> Result<()> {
        for name in names.split(',').map(str::trim) {
            let switch = match name {
                "robots" => &mut self.rules.robots,
                "duplicates" => &mut self.rules.duplicates,
                "bounces" => &mut self.rules.bounces,
                "floods" => &mut self.rules.floods,
                _ => {
                    bail!("unknown filter {name:?}; known are robots, duplicates, bounces, floods")
                }
            };
            *switch = false;
        }
        Ok(())
    }
}

/// Prepares a data set and says how clean the source was.
///
/// # Errors
///
/// When the input cannot be read or is of no known layout, when a named column is missing, when
/// no row is usable (`quarantine.tsv` then says why), or when the output cannot be written.
pub fn run(options: &PrepareOptions, progress: &dyn Progress) -> Result<QualityReport> {
    let layout = match options.layout {
        Some(layout) => layout,
        None => layout::detect(&options.input)?,
    };
    std::fs::create_dir_all(&options.output).with_context(|| options.output.display().to_string())?;
    let mut collector = Collector::create(&options.output, options.time_unit)?;
    let mut items = ItemTable::default();
    let source = read(layout, options, &mut collector, &mut items, progress);
    // The quarantine is the user's way to find out what went wrong, so it comes first.
    let collected = collector.finish()?;
    let source = source?;
    ensure!(
        !collected.events.is_empty(),
        "none of the {} rows of {} is usable ({}); quarantine.tsv in {} names each",
        collected.rows,
        options.input.display(),
        report::list(&collected.quarantined),
        options.output.display()
    );
    progress.start("sessions and rules", None);
    let arranged = sessions::arrange(collected.events, collected.items.len(), &source, options)?;
    let (dataset, notes) = build(&arranged, &collected.items, &items, &source, options)?;
    let mut report = QualityReport::new(&dataset, &arranged, &items, collected.rows);
    report.quarantined = collected.quarantined;
    report.notes = notes;
    if let Some(unit) = collected.time_unit {
        report.notes.push(format!("times were read as {unit}"));
    }
    report.check()?;
    let dataset = Dataset { origin: Origin { quality: Some(report.clone()), ..dataset.origin }, ..dataset };
    dataset.save(&options.output)?;
    progress.finish(&format!(
        "prepared {} sessions, {} items, {} clicks",
        report.sessions, report.items, report.clicks
    ));
    Ok(report)
}

/// What a reader found out about its source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    layout: Layout,
    has_times: bool,
    /// Rows are grouped by user, not by session.
    by_user: bool,
    /// The layout gives the periods.
    has_periods: bool,
    /// Somebody else chose sessions and item numbers already.
    prepared: bool,
}

impl Source {
    /// Whether each sequence is one user's whole history. Without times a history cannot be cut.
    fn has_users(&self, options: &PrepareOptions) -> bool {
        self.by_user && (options.user_history || !self.has_times)
    }
}

fn read(
    layout: Layout,
    options: &PrepareOptions,
    collector: &mut Collector,
    items: &mut ItemTable,
    progress: &dyn Progress,
) -> Result<Source> {
    let beside = layout::item_table(&options.input)?.filter(|_| layout == Layout::Csv);
    if let Some(path) = options.items.clone().or(beside) {
        items.read_file(&path, &options.item_columns, collector, progress)?;
    }
    let files = layout.files(&options.input)?;
    input::start(&files, "reading the log", progress)?;
    let source = match layout {
        Layout::Csv => csv::read(&files, options, collector, progress),
        Layout::Rsc15 => rsc15::read(&files, options, collector, progress),
        Layout::RecBole => recbole::read(&files, options, collector, progress),
        Layout::Parquet => parquet::read(&files, options, collector, progress),
        Layout::Periods => periods::read(&files, collector, progress),
        Layout::Sequences => sequences::read(&files, collector, progress),
    }?;
    progress.finish(&format!("read {} rows", collector.rows()));
    match (layout, &options.item_attributes) {
        (Layout::RecBole, _) if options.items.is_none() => {
            recbole::read_items(&options.input, items, options, collector, progress)?;
        }
        (_, Some(path)) => items.read_attribute_ids(path)?,
        _ => {}
    }
    Ok(source)
}

/// Numbers the items and packs the sessions; the notes say what an evaluation must know.
fn build(
    arranged: &Arranged,
    ids: &[std::rc::Rc<str>],
    attributes: &ItemTable,
    source: &Source,
    options: &PrepareOptions,
) -> Result<(Dataset, Vec<String>)> {
    let (order, given) = sessions::number_items(arranged, ids, source);
    let mut index_of = vec![0_u32; ids.len()];
    for (index, &item) in (1..).zip(&order) {
        index_of[item as usize] = index;
    }
    let mut sessions = Sessions::new(source.has_times);
    for clicks in arranged.sessions() {
        let period = clicks.first().map_or(0, |event| event.period);
        let click = |event: &Event| (index_of[event.item as usize], event.kind, event.time);
        sessions.push(period, clicks.iter().map(click))?;
    }
    let catalogue = catalogue(&order, ids, attributes)?;
    let mut notes = arranged.notes.clone();
    notes.push(if given {
        "item indices are the numbers given in the source".to_owned()
    } else {
        "item indices are in the order of first appearance".to_owned()
    });
    let name = options.name.clone().unwrap_or_else(|| layout::name_of(&options.input));
    let origin = Origin {
        name,
        layout: source.layout.to_string(),
        has_users: source.has_users(options),
        protocol: notes.clone(),
        quality: None,
    };
    let dataset = Dataset { catalogue, sessions, origin };
    Ok((dataset, notes))
}

/// The items with clicks in the order of their indices, then those that only the attributes know.
fn catalogue(order: &[u32], ids: &[std::rc::Rc<str>], attributes: &ItemTable) -> Result<Catalogue> {
    let mut builder = CatalogueBuilder::new();
    let mut clicked = std::collections::HashSet::with_capacity(order.len());
    for &item in order {
        let id = &*ids[item as usize];
        clicked.insert(id);
        builder.push(id, attributes.get(id).cloned().unwrap_or_default(), true)?;
    }
    for (id, known) in attributes.iter() {
        if !clicked.contains(id) {
            builder.push(id, known.clone(), false)?;
        }
    }
    Ok(builder.finish()?)
}

/// The kind that a log's event name means: a GA4 name, or one of the names that public logs use.
fn event_kind(name: &str) -> Option<EventKind> {
    let name = name.trim().to_ascii_lowercase();
    let kind = match name.as_str() {
        "view" | "pageview" | "detail" => EventKind::ViewItem,
        "click" | "clicks" => EventKind::SelectItem,
        "cart" | "carts" | "addtocart" | "add" => EventKind::AddToCart,
        "removefromcart" | "remove" => EventKind::RemoveFromCart,
        "transaction" | "buy" | "order" | "orders" => EventKind::Purchase,
        "view_search_results" => EventKind::Search,
        other => return EventKind::parse(other).ok(),
    };
    Some(kind)
}

#[cfg(test)]
mod tests;
