//! Parquet files, one event a row. Columns of text, whole numbers, floats and timestamps.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row as Record};
use parquet::schema::types::Type;

use super::collect::{BadRow, Collector, Row, RowTime};
use super::columns::LogColumns;
use super::{Layout, PrepareOptions, Source};
use crate::progress::Progress;

pub(super) fn read(
    files: &[PathBuf],
    options: &PrepareOptions,
    collector: &mut Collector,
    progress: &dyn Progress,
) -> Result<Source> {
    let mut source = None;
    for file in files {
        collector.file(file);
        let found =
            read_file(file, options, collector, progress).with_context(|| file.display().to_string())?;
        let before = source.replace(found);
        ensure!(
            before.is_none_or(|s| (s.by_user, s.has_times) == (found.by_user, found.has_times)),
            "{} has other columns than the files before it",
            file.display()
        );
    }
    source.context("no file")
}

fn read_file(
    path: &PathBuf,
    options: &PrepareOptions,
    collector: &mut Collector,
    progress: &dyn Progress,
) -> Result<Source> {
    let bytes = path.metadata()?.len();
    let reader = SerializedFileReader::new(File::open(path)?)?;
    let metadata = reader.metadata().file_metadata();
    let schema = metadata.schema();
    let header: Vec<_> = schema.get_fields().iter().map(|f| f.name().to_owned()).collect();
    let columns = LogColumns::find(&options.columns, &header)?;
    let (projection, columns) = project(schema, &columns)?;
    let rows = u64::try_from(metadata.num_rows())?.max(1);
    let mut fields = Texts::default();
    for (line, record) in (1..).zip(reader.get_row_iter(Some(projection))?) {
        let record = record?;
        match fields.row(&record, &columns) {
            Some(row) => collector.row(line, &row)?,
            None => collector.bad(line, BadRow::Malformed)?,
        }
        // Bytes up to this row, as far as rows are of equal size.
        progress.advance(bytes * line / rows - bytes * (line - 1) / rows);
    }
    Ok(Source {
        layout: Layout::Parquet,
        has_times: columns.time.is_some(),
        by_user: columns.by_user,
        has_periods: false,
        prepared: false,
    })
}

/// The schema with the wanted columns only, and their places in it.
fn project(schema: &Type, columns: &LogColumns) -> Result<(Type, LogColumns)> {
    let optional = [columns.user, columns.time, columns.event, columns.dwell];
    let mut wanted: Vec<usize> =
        [columns.owner, columns.item].into_iter().chain(optional.into_iter().flatten()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let fields = wanted.iter().map(|&at| Arc::clone(&schema.get_fields()[at])).collect();
    let projection = Type::group_type_builder(schema.name()).with_fields(fields).build()?;
    let place = |at: usize| wanted.iter().position(|&w| w == at).unwrap_or_default();
    let columns = LogColumns {
        owner: place(columns.owner),
        by_user: columns.by_user,
        user: columns.user.map(place),
        item: place(columns.item),
        time: columns.time.map(place),
        event: columns.event.map(place),
        dwell: columns.dwell.map(place),
    };
    Ok((projection, columns))
}

/// Buffers for the text of the fields, used again for every row.
#[derive(Default)]
struct Texts {
    owner: Vec<u8>,
    user: Vec<u8>,
    item: Vec<u8>,
    time: Vec<u8>,
    event: Vec<u8>,
    dwell: Vec<u8>,
}

impl Texts {
    /// `None` when a field is of a type that cannot stand there.
    fn row(&mut self, record: &Record, columns: &LogColumns) -> Option<Row<'_>> {
        let fields: Vec<&Field> = record.get_column_iter().map(|(_, field)| field).collect();
        set(&mut self.owner, fields.get(columns.owner)?)?;
        set(&mut self.item, fields.get(columns.item)?)?;
        for (at, buffer) in [
            (columns.user, &mut self.user),
            (columns.event, &mut self.event),
            (columns.dwell, &mut self.dwell),
        ] {
            if let Some(at) = at {
                set(buffer, fields.get(at)?)?;
            }
        }
        let time = match columns.time.map(|at| fields.get(at)) {
            None => RowTime::None,
            Some(Some(Field::TimestampMillis(ms))) => RowTime::Ms(*ms),
            Some(Some(Field::TimestampMicros(us))) => RowTime::Ms(us.div_euclid(1_000)),
            Some(field) => {
                set(&mut self.time, field?)?;
                RowTime::Text(&self.time)
            }
        };
        Some(Row {
            owner: &self.owner,
            user: columns.user.map(|_| &self.user[..]),
            item: &self.item,
            time,
            event: columns.event.map(|_| &self.event[..]),
            dwell: columns.dwell.map(|_| &self.dwell[..]),
        })
    }
}

/// Puts the text of a field into a buffer; nothing for null.
fn set(buffer: &mut Vec<u8>, field: &Field) -> Option<()> {
    buffer.clear();
    match field {
        Field::Null => {}
        Field::Str(text) => buffer.extend_from_slice(text.as_bytes()),
        Field::Bytes(bytes) => buffer.extend_from_slice(bytes.data()),
        Field::Byte(_)
        | Field::Short(_)
        | Field::Int(_)
        | Field::Long(_)
        | Field::UByte(_)
        | Field::UShort(_)
        | Field::UInt(_)
        | Field::ULong(_) => buffer.extend_from_slice(field.to_string().as_bytes()),
        Field::Float(number) => buffer.extend_from_slice(number.to_string().as_bytes()),
        Field::Double(number) => buffer.extend_from_slice(number.to_string().as_bytes()),
        _ => return None,
    }
    Some(())
}
