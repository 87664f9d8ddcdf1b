//! The clicks of a made-up shop as a folder of Parquet files, as engines write them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::TypePtr;

use super::output::{session_id, user_id};
use super::{Product, Row};
use crate::files::cannot_write;

/// Rows of a row group, which are in memory together, and row groups of a file.
const GROUP: usize = 1 << 17;
const GROUPS: usize = 8;

const SCHEMA: &str = "message clicks {
    required binary session_id (STRING);
    required binary user_id (STRING);
    optional binary item_id (STRING);
    required binary event (STRING);
    required int64 time (TIMESTAMP(MILLIS,true));
    optional int32 dwell_ms;
}";

/// A folder of Parquet files being written.
pub(super) struct Parts {
    folder: PathBuf,
    schema: TypePtr,
    properties: WriterPropertiesPtr,
}

impl Parts {
    pub(super) fn create(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder).with_context(|| cannot_write(&folder))?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        Ok(Self { folder, schema: Arc::new(parse_message_type(SCHEMA)?), properties: Arc::new(properties) })
    }

    /// Writes all rows.
    pub(super) fn write(
        self,
        mut rows: impl Iterator<Item = Result<Row>>,
        products: &[Product],
    ) -> Result<Self> {
        let mut group = next_group(&mut rows)?;
        for part in 0.. {
            let path = self.folder.join(format!("part-{part:05}.parquet"));
            let named = || cannot_write(&path);
            let file = File::create(&path).with_context(named)?;
            let (schema, properties) = (Arc::clone(&self.schema), Arc::clone(&self.properties));
            let mut writer = SerializedFileWriter::new(file, schema, properties).with_context(named)?;
            for _ in 0..GROUPS {
                if !group.is_empty() {
                    let mut out = writer.next_row_group().with_context(named)?;
                    write_group(&mut out, &group, products).with_context(named)?;
                    out.close().with_context(named)?;
                    group = next_group(&mut rows)?;
                }
            }
            writer.close().with_context(named)?;
            if group.is_empty() {
                break;
            }
        }
        Ok(self)
    }

    /// Puts the folder in the place of another.
    pub(super) fn replace(self, other: &Path) -> Result<()> {
        if other.exists() {
            fs::remove_dir_all(other).with_context(|| cannot_write(other))?;
        }
        fs::rename(&self.folder, other).with_context(|| cannot_write(other))
    }
}

fn next_group(rows: &mut impl Iterator<Item = Result<Row>>) -> Result<Vec<Row>> {
    rows.take(GROUP).collect()
}

fn write_group(
    out: &mut SerializedRowGroupWriter<'_, File>,
    rows: &[Row],
    products: &[Product],
) -> Result<()> {
    let text = |text: &str| ByteArray::from(text);
    let item = |row: &Row| row.product.map(|product| text(&products[product as usize].item_id));
    write_column::<ByteArrayType>(out, rows.iter().map(|row| Some(text(&session_id(row)))), false)?;
    write_column::<ByteArrayType>(out, rows.iter().map(|row| Some(text(&user_id(row)))), false)?;
    write_column::<ByteArrayType>(out, rows.iter().map(item), true)?;
    write_column::<ByteArrayType>(out, rows.iter().map(|row| Some(text(row.kind.as_str()))), false)?;
    write_column::<Int64Type>(out, rows.iter().map(|row| Some(row.time_ms)), false)?;
    write_column::<Int32Type>(out, rows.iter().map(|row| row.dwell_ms.map(|dwell| dwell as i32)), true)
}

fn write_column<T: DataType>(
    out: &mut SerializedRowGroupWriter<'_, File>,
    values: impl Iterator<Item = Option<T::T>>,
    optional: bool,
) -> Result<()> {
    let (mut there, mut known) = (Vec::new(), Vec::new());
    for value in values {
        there.push(i16::from(value.is_some()));
        known.extend(value);
    }
    let mut column = out.next_column()?.context("a column for every field")?;
    column.typed::<T>().write_batch(&known, optional.then_some(&there[..]), None)?;
    Ok(column.close()?)
}
