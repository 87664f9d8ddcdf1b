//! The part of a fine-tuning step that grows with its candidates, on a GPU.

use onshelf_core::rank::ItemTable;

use super::{Buffer, Gpu, Kernel, bits};
use crate::error::ModelError;

/// Candidates that a workgroup has room for.
const ROOM: usize = 1024;

/// The rows of a step: queries and what they are held to.
pub(crate) struct Rows<'a> {
    /// `[rows, dim]`, of length 1 each.
    pub(crate) queries: &'a [f32],
    /// The candidates' items.
    pub(crate) items: &'a [u32],
    /// `[rows, candidates]`, added to the logits.
    pub(crate) offsets: &'a [f32],
    /// `[rows, candidates]`
    pub(crate) wanted: &'a [f32],
    /// What dot products are multiplied with.
    pub(crate) scale: f32,
}

/// Losses and slopes of lessons.
pub(crate) struct Lessons {
    gpu: Gpu,
    dim: usize,
    rows: usize,
    codes: Buffer,
    centroids: Buffer,
    ask: Buffer,
    out: Buffer,
    kernel: Kernel,
}

impl Lessons {
    /// For lessons of at most `rows` rows.
    pub(crate) fn new(gpu: &Gpu, table: &ItemTable, codes: Buffer, rows: usize) -> Self {
        let dim = table.dim();
        let constants = [
            ("DIM", dim),
            ("SUBSPACES", table.subspaces()),
            ("WORDS", table.items().div_ceil(4)),
            ("ROWS", rows),
            ("ROOM", ROOM),
        ];
        Self {
            dim,
            rows,
            centroids: gpu.upload_floats(table.scoring()),
            ask: gpu.empty(2 + ROOM + rows * dim + 2 * rows * ROOM),
            out: gpu.empty(rows * (dim + 1)),
            kernel: Kernel::new("lesson", &constants, vec![include_str!("lesson.wgsl")]),
            codes,
            gpu: gpu.clone(),
        }
    }

    /// Whether there is room for so many rows and candidates.
    pub(crate) fn fits(&self, rows: usize, candidates: usize) -> bool {
        rows <= self.rows && candidates <= ROOM
    }

    /// The loss (nats) of each row and its slope by the row's query.
    ///
    /// # Errors
    /// [`ModelError::Device`].
    pub(crate) async fn slopes(&self, rows: &Rows<'_>) -> Result<(Vec<f32>, Vec<Vec<f32>>), ModelError> {
        let (count, taken) = (rows.items.len(), rows.queries.len() / self.dim);
        let mut ask = Vec::with_capacity(2 + ROOM + self.rows * self.dim + 2 * self.rows * ROOM);
        ask.extend([count as u32, rows.scale.to_bits()]);
        ask.extend_from_slice(rows.items);
        ask.resize(2 + ROOM, 0);
        ask.extend(bits(rows.queries));
        ask.resize(2 + ROOM + self.rows * self.dim, 0);
        for part in [rows.offsets, rows.wanted] {
            let end = ask.len() + self.rows * ROOM;
            for row in part.chunks_exact(count) {
                let start = ask.len();
                ask.extend(bits(row));
                ask.resize(start + ROOM, 0);
            }
            ask.resize(end, 0);
        }
        self.gpu.write(&self.ask, ask);
        let buffers = [&self.codes, &self.centroids, &self.ask, &self.out];
        self.gpu.launch(&self.kernel, taken as u32, &buffers);
        let out = self.gpu.read_floats(&self.out).await?;
        let rows = out.chunks_exact(self.dim + 1).take(taken);
        Ok(rows.map(|row| (row[0], row[1..].to_vec())).unzip())
    }
}
