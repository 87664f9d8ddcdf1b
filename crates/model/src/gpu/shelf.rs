//! Scores of the whole catalogue on a GPU, and the best of them.

use onshelf_core::rank::{CENTROIDS, ItemTable};

use super::{Buffer, GROUP, Gpu, Kernel, bits};
use crate::error::ModelError;

/// Items that a read-back of the best has room for.
const ROOM: usize = 4096;
/// Words of four items that a thread scans, where there are enough of them.
const WORDS_EACH: usize = 16;
/// Threads below which each scans less: the bound is as tight as there are threads.
const THREADS_MIN: usize = 4096;

/// The item table on a GPU, with room for one query and its answer.
pub(crate) struct Shelf {
    gpu: Gpu,
    items: usize,
    groups_of: usize,
    codes: Buffer,
    ask: Buffer,
    scores: Buffer,
    peaks: Buffer,
    found: Buffer,
    scan: Kernel,
    bound: Kernel,
    gather: Kernel,
}

impl Shelf {
    /// For a table whose codes ([`Self::words_of`]) are on the GPU.
    pub(crate) fn new(gpu: &Gpu, table: &ItemTable, codes: Buffer) -> Self {
        let items = table.items();
        let row = table.subspaces() + 1;
        let words = items.div_ceil(4);
        let each = (words / THREADS_MIN).clamp(1, WORDS_EACH);
        let workgroups = words.div_ceil(each).div_ceil(GROUP as usize).max(1);
        let threads = workgroups * GROUP as usize;
        let constants =
            [("ITEMS", items), ("WORDS", words), ("ROW", row), ("THREADS", threads), ("ROOM", ROOM)];
        let kernel = |name, body| Kernel::new(name, &constants, body);
        let key = include_str!("key.wgsl");
        Self {
            items,
            groups_of: workgroups,
            ask: gpu.empty(1 + row * CENTROIDS),
            scores: gpu.empty(items.max(1)),
            peaks: gpu.empty(threads),
            found: gpu.empty(2 + 2 * ROOM),
            scan: kernel("scan", vec![key, include_str!("scan.wgsl")]),
            bound: kernel("bound", vec![include_str!("bound.wgsl")]),
            gather: kernel("gather", vec![key, include_str!("gather.wgsl")]),
            codes,
            gpu: gpu.clone(),
        }
    }

    /// The codes as the kernels read them: by subspace, four items a word.
    pub(crate) fn words_of(table: &ItemTable) -> Vec<u32> {
        let row = table.subspaces() + 1;
        let words = table.items().div_ceil(4);
        let mut out = vec![0_u32; row * words];
        for (item, codes) in table.codes().chunks_exact(row).enumerate() {
            for (m, &code) in codes.iter().enumerate() {
                out[m * words + item / 4] |= u32::from(code) << (8 * (item % 4));
            }
        }
        out
    }

    fn scan(&self, lut: &[f32], wanted: usize) {
        let mut ask = Vec::with_capacity(1 + lut.len());
        ask.push(wanted as u32);
        ask.extend(bits(lut));
        self.gpu.write(&self.ask, ask);
        let buffers = [&self.codes, &self.ask, &self.scores, &self.peaks];
        self.gpu.launch(&self.scan, self.groups_of as u32, &buffers);
    }

    /// Scores of all items by their look-up table, in one submission.
    ///
    /// # Errors
    /// [`ModelError::Device`].
    pub(crate) async fn all(&self, lut: &[f32]) -> Result<Vec<f32>, ModelError> {
        if self.items == 0 {
            return Ok(Vec::new());
        }
        self.scan(lut, 1);
        self.gpu.read_floats(&self.scores).await
    }

    /// The `wanted` best items and perhaps some more, in no order; `None` where they did not fit a
    /// read-back (many equal scores).
    ///
    /// # Errors
    /// [`ModelError::Device`].
    pub(crate) async fn best(
        &self,
        lut: &[f32],
        wanted: usize,
    ) -> Result<Option<Vec<(u32, f32)>>, ModelError> {
        if self.items == 0 {
            return Ok(Some(Vec::new()));
        }
        self.scan(lut, wanted);
        self.gpu.launch(&self.bound, 1, &[&self.ask, &self.peaks, &self.found]);
        self.gpu.launch(&self.gather, self.groups_of as u32, &[&self.scores, &self.found]);
        let found = self.gpu.read(&self.found).await?;
        let count = found[1] as usize;
        if count > ROOM {
            return Ok(None);
        }
        Ok(Some(found[2..2 + 2 * count].chunks_exact(2).map(|p| (p[0], f32::from_bits(p[1]))).collect()))
    }
}
