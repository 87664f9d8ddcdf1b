//! `onshelf prepare`: from a shop's logs to a [`Dataset`].
//!
//! Rows are read by the reader of their [`Layout`], checked and collected, made into sessions,
//! cleaned by the stated rules of [`onshelf_core::quality`] and put in temporal order. No row
//! disappears silently: each is kept, or counted under the reason for which it was filtered, or
//! written to `quarantine.tsv` with its file, line and reason.
//!
//! A log may be larger than memory. Rows are sorted by session, and the clicks that are left by
//! time, both in runs that fit in memory and are merged from a temporary folder of the output. What
//! stays in memory besides is the items, one session, and the buffers.
//!
//! The data set is replaced only when all of the new one is ready, so an interrupted run leaves an
//! older one as it was (and at most `.onshelf.tmp` and files with names like `.quarantine.tsv.tmp`
//! when it was killed, which the next run replaces).

mod arrange;
mod collect;
mod columns;
mod csv;
mod events;
mod input;
mod items;
mod layout;
mod parquet;
mod periods;
mod quarantine;
mod rare;
mod recbole;
mod report;
mod sequences;
mod sessions;
mod store;
mod time;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Result, bail, ensure};
use onshelf_core::catalogue::{Catalogue, CatalogueBuilder};
use onshelf_core::event::EventKind;
use onshelf_core::quality::Rules;

use crate::dataset::{DatasetWriter, Origin, Shape, Written};
use crate::progress::Progress;
use crate::spill::Spill;
use crate::stop::Stopped;

use arrange::Arranged;
use collect::{BadRow, Collected, Collector, Row};
pub use columns::ColumnMap;
use input::{Input, LogFile};
use items::ItemTable;
pub use layout::Layout;
use quarantine::Quarantine;
use report::Shapes;
pub use report::{LengthQuantiles, QualityReport, RuleReport};
pub use time::TimeUnit;

/// [`PrepareOptions::memory`] by default: most logs fit, and a laptop has it to spare.
pub const DEFAULT_MEMORY: usize = 512 << 20;

/// What to prepare and how. [`PrepareOptions::new`] gives the defaults.
#[derive(Debug, Clone)]
pub struct PrepareOptions {
    /// A log file, or a folder of them; a path, or an address with `file://` or `s3://`. Of a
    /// folder of CSV files, one named `items` is the item table.
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
    /// Sessions that begin in the last so many days are period 1, all others period 0; `None` is as
    /// with [`Self::period_days`], which excludes this.
    pub last_days: Option<u32>,
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
    /// Bytes of rows that are kept in memory; what is beyond goes to a temporary folder in the
    /// output. The result is the same.
    pub memory: usize,
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
            last_days: None,
            min_session: None,
            min_item_count: 1,
            inactivity_minutes: 30,
            user_history: false,
            rules: Rules::default(),
            memory: DEFAULT_MEMORY,
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
/// no row is usable (`quarantine.tsv` then says why), when the output cannot be written, or
/// [`Stopped`].
pub fn run(options: &PrepareOptions, progress: &dyn Progress) -> Result<QualityReport> {
    run_on(&Input::open(&options.input)?, options, progress)
}

fn run_on(input: &Input, options: &PrepareOptions, progress: &dyn Progress) -> Result<QualityReport> {
    let layout = match options.layout {
        Some(layout) => layout,
        None => layout::detect(input)?,
    };
    let quarantine = Quarantine::create(&options.output)?;
    let spill = Spill::create(&options.output)?;
    // One sorter is filled while the other is read.
    let half = options.memory / 2;
    let mut collector = Collector::new(spill.sorter("rows", half), quarantine, options.time_unit);
    let mut items = ItemTable::default();
    let source = match read(layout, input, options, &mut collector, &mut items, progress) {
        Ok(source) => source,
        Err(error) if error.is::<Stopped>() => return Err(error),
        Err(error) => {
            // The quarantine is the user's way to find out what went wrong.
            let _ = collector.give_up();
            return Err(error);
        }
    };
    progress.start("sessions and rules", None);
    let mut collected = collector.finish()?;
    ensure!(
        collected.events > 0,
        "none of the {} rows of {input} is usable ({}); quarantine.tsv in {} names each",
        collected.rows,
        report::list(&collected.quarantined),
        options.output.display()
    );
    let arranged = arrange::arrange(&collected, &source, options, spill.sorter("clicks", half))?;
    // The rows are not needed any more: their memory, or their files, are given back.
    collected.log = spill.sorter("none", 0).finish()?;
    let report = write(&arranged, &collected, &items, &source, options)?;
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

/// What every reader needs.
pub(crate) struct Reading<'a> {
    files: &'a [LogFile],
    options: &'a PrepareOptions,
    collector: &'a mut Collector,
    progress: &'a dyn Progress,
}

impl Reading<'_> {
    /// The rows that follow are from this file.
    fn begin(&mut self, file: &LogFile) {
        self.collector.file(file);
    }

    /// Takes the row at a line (from 1), or what is wrong with it.
    fn row(&mut self, line: u64, row: Result<Row<'_>, BadRow>) -> Result<()> {
        self.collector.row(line, row)
    }
}

fn read(
    layout: Layout,
    input: &Input,
    options: &PrepareOptions,
    collector: &mut Collector,
    items: &mut ItemTable,
    progress: &dyn Progress,
) -> Result<Source> {
    let item_file = match &options.items {
        Some(path) => Some(one_file(path)?),
        None if layout == Layout::Csv => layout::item_table(input)?,
        None => None,
    };
    if let Some(file) = item_file {
        items.read_file(&file, &options.item_columns, collector, progress)?;
    }
    let files = layout.files(input)?;
    input::start(&files, "reading the log", progress)?;
    let reading = Reading { files: &files, options, collector: &mut *collector, progress };
    let source = match layout {
        Layout::Csv | Layout::Rsc15 | Layout::RecBole => csv::read(layout, reading),
        Layout::Parquet => parquet::read(reading),
        Layout::Periods => periods::read(reading),
        Layout::Sequences => sequences::read(reading),
    }?;
    progress.finish(&format!("read {} rows", collector.rows()));
    match (layout, &options.item_attributes) {
        (Layout::RecBole, _) if options.items.is_none() => {
            recbole::read_items(input, items, options, collector, progress)?;
        }
        (_, Some(path)) => items.read_attribute_ids(&one_file(path)?)?,
        _ => {}
    }
    Ok(source)
}

/// A file that is named by itself.
fn one_file(path: &Path) -> Result<LogFile> {
    Ok(Input::open(path)?.file())
}

/// Numbers the items and writes the data set; the notes say what an evaluation must know.
fn write(
    arranged: &Arranged,
    collected: &Collected,
    attributes: &ItemTable,
    source: &Source,
    options: &PrepareOptions,
) -> Result<QualityReport> {
    let ids = &collected.items;
    let (order, given) = arranged.number_items(ids, source)?;
    let mut index_of = vec![0_u32; ids.len()];
    for (index, &item) in (1..).zip(&order) {
        index_of[item as usize] = index;
    }
    let catalogue = catalogue(&order, ids, attributes)?;
    let shape = Shape { sessions: arranged.sessions, clicks: arranged.clicks, has_times: source.has_times };
    let mut writer = DatasetWriter::create(&options.output, &catalogue, shape)?;
    let mut shapes = Shapes::default();
    let (mut items, mut kinds, mut times) = (Vec::new(), Vec::new(), Vec::new());
    arranged.each(|period, clicks| {
        items.clear();
        kinds.clear();
        times.clear();
        for click in clicks {
            items.push(index_of[click.item as usize]);
            kinds.push(click.kind);
            times.extend(source.has_times.then_some(click.time));
        }
        shapes.push(&items);
        writer.push(period, &items, &kinds, &times)
    })?;
    let written = writer.finish()?;

    let mut report =
        QualityReport::new(&catalogue, written.periods(), &shapes, arranged, attributes, collected.rows);
    report.quarantined.clone_from(&collected.quarantined);
    report.notes.clone_from(&arranged.notes);
    report.notes.push(if given {
        "item indices are the numbers given in the source".to_owned()
    } else {
        "item indices are in the order of first appearance".to_owned()
    });
    let protocol = report.notes.clone();
    report.notes.extend(collected.time_unit.map(|unit| format!("times were read as {unit}")));
    report.check()?;
    commit(written, protocol, &report, source, options)?;
    Ok(report)
}

fn commit(
    written: Written,
    protocol: Vec<String>,
    report: &QualityReport,
    source: &Source,
    options: &PrepareOptions,
) -> Result<()> {
    written.commit(Origin {
        name: options.name.clone().unwrap_or_else(|| layout::name_of(&options.input)),
        layout: source.layout.to_string(),
        has_users: source.has_users(options),
        protocol,
        quality: Some(report.clone()),
    })
}

/// The items with clicks in the order of their indices, then those that only the attributes know.
fn catalogue(order: &[u32], ids: &[Rc<str>], attributes: &ItemTable) -> Result<Catalogue> {
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
