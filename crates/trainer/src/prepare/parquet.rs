//! Parquet files, one event a row. Columns of text, whole numbers, floats and timestamps.
//!
//! Only the wanted columns are read, page by page, so a file may be larger than memory.

use std::fs::File;
use std::sync::Arc;

use anyhow::{Context, Result};
use parquet::basic::{LogicalType, TimeUnit};
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::record::{Field, Row as Record};
use parquet::schema::types::Type;

use super::collect::{BadRow, Row, RowTime};
use super::columns::{Agreed, LogColumns};
use super::input::{LogFile, Place};
use super::{Layout, Reading, Source};

pub(super) fn read(mut reading: Reading<'_>) -> Result<Source> {
    let mut agreed = Agreed::default();
    for file in reading.files {
        match &file.place {
            Place::Local(path) => {
                let opened = File::open(path).with_context(|| file.to_string())?;
                read_file(opened, file, &mut agreed, &mut reading)?;
            }
            Place::Remote(remote) => read_file(remote.blocks(), file, &mut agreed, &mut reading)?,
        }
    }
    agreed.source(Layout::Parquet)
}

fn read_file(
    opened: impl ChunkReader + 'static,
    file: &LogFile,
    agreed: &mut Agreed,
    reading: &mut Reading<'_>,
) -> Result<()> {
    let named = || file.to_string();
    reading.begin(file);
    let bytes = file.bytes()?;
    let reader = SerializedFileReader::new(opened).with_context(named)?;
    let metadata = reader.metadata().file_metadata();
    let schema = metadata.schema();
    let header: Vec<_> = schema.get_fields().iter().map(|f| f.name().to_owned()).collect();
    let columns = agreed.find(&reading.options.columns, &header, file)?;
    let nanoseconds = columns.time.is_some_and(|at| in_nanoseconds(&schema.get_fields()[at]));
    let (projection, columns) = project(schema, &columns)?;
    let rows = u64::try_from(metadata.num_rows())?.max(1);
    // Bytes up to a row, as far as rows are of equal size.
    let place = |row: u64| u64::try_from(u128::from(bytes) * u128::from(row) / u128::from(rows));
    let mut fields = Texts { nanoseconds, ..Texts::default() };
    for (line, record) in (1..).zip(reader.get_row_iter(Some(projection)).with_context(named)?) {
        let record = record.with_context(named)?;
        reading.row(line, fields.row(&record, &columns).ok_or(BadRow::Malformed))?;
        reading.progress.advance(place(line)? - place(line - 1)?);
    }
    Ok(())
}

/// Whether a column holds times in nanoseconds, which the reader gives as plain numbers.
fn in_nanoseconds(column: &Type) -> bool {
    match column.get_basic_info().logical_type_ref() {
        Some(LogicalType::Timestamp(time)) => time.unit == TimeUnit::NANOS,
        _ => false,
    }
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
    /// Whether whole numbers in the time column are nanoseconds.
    nanoseconds: bool,
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
            Some(Some(Field::Long(ns))) if self.nanoseconds => RowTime::Ms(ns.div_euclid(1_000_000)),
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
