//! The student: a quantised item table, a small encoder and a low-rank shared adapter.
//!
//! `session → encoder → session vector → adapter → look-up scores of all items`. The encoder works on plain
//! slices, one click at a time, wherever the rest is done: a click is a few hundred thousand
//! multiplications, less than a GPU's answer takes to come back. What grows with the catalogue or with the
//! candidates of a step is done on the GPU where there is one: scores, the best of them, and the softmax
//! of a lesson.

#[cfg(feature = "webgpu")]
use onshelf_core::rank::TopK;
use onshelf_core::rank::{CENTROIDS, ItemTable};
use onshelf_core::slices::{add_product, add_scaled};
use onshelf_core::version::StudentShape;
use onshelf_core::weights::{self, Weights, WeightsError};
use rand::{Rng, RngExt};

use crate::encoder::plain::{Past, PlainEncoder};
use crate::encoder::{REPEAT, boost_repeats, latest};
use crate::error::ModelError;
#[cfg(feature = "webgpu")]
use crate::gpu::{Gpu, Lessons, Shelf};

/// The optional tensor with the adapter's Fisher information, `[2, dim * rank]`: `down`, then `up`.
pub const FISHER: &str = "adapter.fisher";

/// The last clicks of a session, oldest first, as a student reads them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SessionInput {
    /// Item indices, from 1.
    pub items: Vec<u32>,
    /// Event kinds.
    pub kinds: Vec<u8>,
    /// Buckets of the time since the click before ([`crate::encoder::gap_bucket`]).
    pub gaps: Vec<u8>,
}

impl std::fmt::Debug for SessionInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SessionInput({} clicks)", self.items.len())
    }
}

impl SessionInput {
    /// The session without click `at`.
    #[must_use]
    pub fn without(&self, at: usize) -> Self {
        let mut out = self.clone();
        out.items.remove(at);
        out.kinds.remove(at);
        out.gaps.remove(at);
        out
    }

    /// Whether this is `other` with or without later clicks.
    fn begins_with(&self, other: &Self) -> bool {
        self.items.starts_with(&other.items)
            && self.kinds.starts_with(&other.kinds)
            && self.gaps.starts_with(&other.gaps)
    }

    /// The last `n` clicks.
    #[must_use]
    pub fn last(&self, n: usize) -> Self {
        let from = self.items.len().saturating_sub(n);
        Self {
            items: self.items[from..].to_vec(),
            kinds: self.kinds[from..].to_vec(),
            gaps: self.gaps[from..].to_vec(),
        }
    }
}

/// The low-rank adapter: `q' = normalise(q + (q · down) · up)`; LoRA, Hu et al., ICLR 2022. It is
/// the only part of a student that is ever shared back.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// `[dim, rank]`
    pub down: Vec<f32>,
    /// `[rank, dim]`, zeros at first: an untrained adapter changes nothing.
    pub up: Vec<f32>,
    rank: usize,
}

impl Adapter {
    /// A random `down` and a zero `up`.
    pub fn new(dim: usize, rank: usize, rng: &mut impl Rng) -> Self {
        let limit = (3.0 / dim as f32).sqrt();
        let down = (0..dim * rank).map(|_| (rng.random::<f32>() * 2.0 - 1.0) * limit).collect();
        Self { down, up: vec![0.0; dim * rank], rank }
    }

    /// Reads the tensors `adapter.down` and `adapter.up`.
    ///
    /// # Errors
    /// [`ModelError::Weights`] where one is missing or has another shape.
    pub fn read(weights: &Weights, dim: usize, rank: usize) -> Result<Self, ModelError> {
        Self::read_as("adapter", weights, dim, rank)
    }

    /// Adds the tensors `adapter.down` and `adapter.up`.
    pub fn write(&self, weights: &mut Weights) {
        self.write_as("adapter", weights);
    }

    /// Reads the tensors `<name>.down` and `<name>.up`.
    pub(crate) fn read_as(
        name: &str,
        weights: &Weights,
        dim: usize,
        rank: usize,
    ) -> Result<Self, ModelError> {
        let down = weights.get(&format!("{name}.down"), &[dim, rank])?.values.clone();
        let up = weights.get(&format!("{name}.up"), &[rank, dim])?.values.clone();
        Ok(Self { down, up, rank })
    }

    /// Adds the tensors `<name>.down` and `<name>.up`.
    pub(crate) fn write_as(&self, name: &str, weights: &mut Weights) {
        let dim = self.up.len() / self.rank.max(1);
        let tensor = |shape: [usize; 2], values: &[f32]| weights::Tensor {
            shape: shape.to_vec(),
            values: values.to_vec(),
        };
        weights.floats.insert(format!("{name}.down"), tensor([dim, self.rank], &self.down));
        weights.floats.insert(format!("{name}.up"), tensor([self.rank, dim], &self.up));
    }

    /// The rank.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Applies the adapter and adds `taste`; the result has length 1.
    #[must_use]
    pub fn apply(&self, session: &[f32], taste: Option<&[f32]>) -> Vec<f32> {
        let mut inner = vec![0.0; self.rank];
        add_product(&mut inner, session, &self.down);
        let mut out = session.to_vec();
        add_product(&mut out, &inner, &self.up);
        if let Some(taste) = taste {
            add_scaled(&mut out, 1.0, taste);
        }
        let norm = (out.iter().map(|x| x * x).sum::<f32>() + 1e-6).sqrt();
        out.iter_mut().for_each(|x| *x /= norm);
        out
    }
}

/// Where a student computes.
#[derive(Clone, Debug, Default)]
pub enum Compute {
    /// On this processor.
    #[default]
    Cpu,
    /// What grows with catalogue and candidates on a GPU, in buffers that are made once.
    #[cfg(feature = "webgpu")]
    Gpu(Gpu),
}

/// What of a student is on a GPU.
#[cfg(feature = "webgpu")]
struct OnGpu {
    shelf: Shelf,
    lessons: Lessons,
}

#[cfg(feature = "webgpu")]
impl OnGpu {
    fn new(gpu: &Gpu, table: &ItemTable, max_len: usize) -> Self {
        let codes = gpu.upload(Shelf::words_of(table));
        Self {
            shelf: Shelf::new(gpu, table, codes.clone()),
            lessons: Lessons::new(gpu, table, codes, max_len),
        }
    }
}

/// A session with the vectors of its positions, to be gone on with.
#[derive(Clone, Default)]
pub struct Encoded {
    session: SessionInput,
    past: Past,
}

impl Encoded {
    /// Session vectors before the adapter: one of `dim` values for every position of the last `max_len` clicks.
    #[must_use]
    pub fn vectors(&self) -> &[f32] {
        &self.past.vectors
    }
}

/// Reads the optional tensor [`FISHER`].
fn fisher(weights: &Weights, shape: &StudentShape) -> Result<Option<Vec<f32>>, ModelError> {
    if !weights.floats.contains_key(FISHER) {
        return Ok(None);
    }
    let values = weights.get(FISHER, &[2, shape.dim * shape.adapter_rank])?.values.clone();
    if values.iter().any(|x| *x < 0.0) {
        return Err(ModelError::State(format!(
            "{FISHER} is negative somewhere; export the model version again"
        )));
    }
    Ok(Some(values))
}

/// Name of the tensor `[subspaces, 256, dim / subspaces]` that moves the centroids that score; absent
/// where nobody taught anything yet.
pub const TREND: &str = "items.trend";
/// Name of the tensor `[256]` that moves the bias levels; absent where nobody taught anything yet.
pub const LEVEL_TREND: &str = "items.level_trend";

/// The table with the trend among `weights`, where there is one.
///
/// # Errors
/// [`ModelError`] where it does not fit.
pub fn with_trend_of(table: ItemTable, weights: &Weights) -> Result<ItemTable, ModelError> {
    if !weights.floats.contains_key(TREND) && !weights.floats.contains_key(LEVEL_TREND) {
        return Ok(table);
    }
    let centroids = [table.subspaces(), CENTROIDS, table.dim() / table.subspaces()];
    let mut trend = Vec::with_capacity(table.trend_len());
    for (name, shape) in [(TREND, &centroids[..]), (LEVEL_TREND, &[CENTROIDS])] {
        match weights.floats.contains_key(name) {
            true => trend.extend_from_slice(&weights.get(name, shape)?.values),
            false => trend.resize(trend.len() + shape.iter().product::<usize>(), 0.0),
        }
    }
    Ok(table.with_trend(trend)?)
}

/// A loaded student on one device.
pub struct Student {
    shape: StudentShape,
    table: ItemTable,
    encoder: Box<PlainEncoder>,
    #[cfg(feature = "webgpu")]
    on_gpu: Option<Box<OnGpu>>,
    base: Adapter,
    fisher: Option<Vec<f32>>,
    repeat: Vec<f32>,
    parameters: usize,
}

impl Student {
    /// Reads the tensors of a model version.
    ///
    /// # Errors
    /// [`ModelError`] naming what is missing, misshapen or not finite.
    pub fn new(weights: &Weights, shape: &StudentShape, compute: &Compute) -> Result<Self, ModelError> {
        let width = shape.dim / shape.subspaces;
        let codes =
            weights.bytes.get("items.codes").ok_or_else(|| WeightsError::Missing("items.codes".into()))?;
        if codes.0.len() != 2 || codes.0[1] != shape.subspaces + 1 {
            return Err(WeightsError::Shape {
                name: "items.codes".into(),
                found: format!("u8 {:?}", codes.0),
                expected: format!("u8 [items, {}]", shape.subspaces + 1),
            }
            .into());
        }
        let centroids = weights.get("items.centroids", &[shape.subspaces, CENTROIDS, width])?.values.clone();
        let bias = weights.get("items.bias", &[CENTROIDS])?.values.clone();
        let table = ItemTable::new(shape.dim, shape.subspaces, codes.1.clone(), centroids, bias)?;
        let table = with_trend_of(table, weights)?;
        let fisher = fisher(weights, shape)?;
        #[cfg(feature = "webgpu")]
        let on_gpu = match compute {
            Compute::Cpu => None,
            Compute::Gpu(gpu) => Some(Box::new(OnGpu::new(gpu, &table, shape.max_len))),
        };
        #[cfg(not(feature = "webgpu"))]
        let Compute::Cpu = compute;
        Ok(Self {
            shape: shape.clone(),
            base: Adapter::read(weights, shape.dim, shape.adapter_rank)?,
            repeat: weights.get(REPEAT, &[shape.max_len])?.values.clone(),
            encoder: Box::new(PlainEncoder::new(weights, shape)?),
            #[cfg(feature = "webgpu")]
            on_gpu,
            table,
            // What is known about parameters is none.
            parameters: weights.parameters() - fisher.as_ref().map_or(0, Vec::len),
            fisher,
        })
    }

    /// The student's shape.
    #[must_use]
    pub fn shape(&self) -> &StudentShape {
        &self.shape
    }

    /// The items.
    #[must_use]
    pub fn table(&self) -> &ItemTable {
        &self.table
    }

    /// The shipped adapter.
    #[must_use]
    pub fn base(&self) -> &Adapter {
        &self.base
    }

    /// The diagonal Fisher information of the shipped adapter, `down` before `up`, its mean 1; `None` where the
    /// student was shipped without.
    #[must_use]
    pub fn fisher(&self) -> Option<&[f32]> {
        self.fisher.as_deref()
    }

    /// Ships another adapter of the same rank: for those who learn where it should start.
    #[cfg(feature = "training")]
    pub fn set_base(&mut self, base: Adapter) {
        self.base = base;
    }

    /// Ships another trend ([`crate::shared`]): for those who sum up what many taught. On the processor only.
    ///
    /// # Errors
    /// [`ModelError::Table`] where it does not fit, [`ModelError::State`] on another device; nothing is
    /// changed then.
    #[cfg(feature = "training")]
    pub fn set_trend(&mut self, trend: Vec<f32>) -> Result<(), ModelError> {
        #[cfg(feature = "webgpu")]
        if self.on_gpu.is_some() {
            return Err(ModelError::State("a trend is set on the processor only".into()));
        }
        self.table = self.table.clone().with_trend(trend)?;
        Ok(())
    }

    /// Number of shipped f32 parameters, the adapter included.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Compiles a GPU's kernels by using each once, so that no shelf and no step waits for it.
    ///
    /// # Errors
    /// [`ModelError::Device`].
    #[cfg(feature = "webgpu")]
    pub async fn warm(&self) -> Result<(), ModelError> {
        let Some(on) = &self.on_gpu else { return Ok(()) };
        on.shelf.best(&vec![0.0; (self.table.subspaces() + 1) * CENTROIDS], 1).await?;
        let row = crate::gpu::Rows {
            queries: &vec![0.0; self.shape.dim],
            items: &[1],
            offsets: &[0.0],
            wanted: &[1.0],
            scale: 1.0,
        };
        if self.table.items() > 0 {
            on.lessons.slopes(&row).await?;
        }
        Ok(())
    }

    /// Where the softmax of a lesson is done, if not here.
    #[cfg(feature = "webgpu")]
    pub(crate) fn lessons(&self) -> Option<&Lessons> {
        self.on_gpu.as_ref().map(|on| &on.lessons)
    }

    /// Session vectors before the adapter: one of `dim` values for **every position** of the last
    /// `max_len` clicks. Empty for an empty session.
    #[must_use]
    pub fn encode(&self, session: &SessionInput) -> Vec<f32> {
        let mut encoded = Encoded::default();
        self.encode_on(session, &mut encoded);
        encoded.past.vectors
    }

    /// The same, going on from what is there: one more click costs one more position.
    pub fn encode_on(&self, session: &SessionInput, encoded: &mut Encoded) {
        let session = session.last(self.shape.max_len);
        if session == encoded.session {
            return;
        }
        if !session.begins_with(&encoded.session) {
            *encoded = Encoded::default();
        }
        let mut vector = Vec::with_capacity(self.shape.dim);
        for at in encoded.session.items.len()..session.items.len() {
            vector.clear();
            self.table.push_vector(session.items[at], &mut vector);
            self.encoder.push(&mut encoded.past, &vector, session.kinds[at], session.gaps[at]);
        }
        encoded.session = session;
    }

    /// Last session vectors of many sessions, `[sessions, dim]`; zeros for an empty one.
    #[must_use]
    pub fn encode_last(&self, sessions: &[SessionInput]) -> Vec<f32> {
        let dim = self.shape.dim;
        let mut out = Vec::with_capacity(sessions.len() * dim);
        for session in sessions {
            let vectors = self.encode(session);
            match vectors.len() {
                0 => out.resize(out.len() + dim, 0.0),
                n => out.extend_from_slice(&vectors[n - dim..]),
            }
        }
        out
    }

    /// What is added to `item`'s score after the clicks of `prefix`; 0 for items not among them.
    #[must_use]
    pub fn repeat_boost(&self, item: u32, prefix: &[u32]) -> f32 {
        latest(prefix)
            .find(|&(i, _)| i == item)
            .and_then(|(_, back)| self.repeat.get(back))
            .copied()
            .unwrap_or(0.0)
    }

    /// Logits of every item for a query (`scores[i]` is item `i + 1`'s):
    /// `(query · item) / temperature + bias`, and the repeat boost for the items of `prefix`, the
    /// clicks so far.
    ///
    /// # Errors
    /// [`ModelError::Device`].
    pub async fn score(
        &self,
        query: &[f32],
        prefix: &[u32],
        lut: &mut Vec<f32>,
        scores: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        let scaled = self.scaled(query);
        #[cfg(feature = "webgpu")]
        if let Some(on) = &self.on_gpu {
            self.table.lookup(&scaled, lut);
            *scores = on.shelf.all(lut).await?;
            boost_repeats(scores, prefix, &self.repeat);
            return Ok(());
        }
        self.table.score_all(&scaled, lut, scores);
        boost_repeats(scores, prefix, &self.repeat);
        Ok(())
    }

    fn scaled(&self, query: &[f32]) -> Vec<f32> {
        query.iter().map(|x| x / self.shape.temperature).collect()
    }

    /// The `count` best items for which `allow` holds, best first, where a GPU can tell: by scores as
    /// [`Self::score`] gives them. `None` where all of them have to be looked at.
    #[cfg(feature = "webgpu")]
    pub(crate) async fn best(
        &self,
        query: &[f32],
        prefix: &[u32],
        count: usize,
        mut allow: impl FnMut(u32) -> bool,
    ) -> Result<Option<Vec<(u32, f32)>>, ModelError> {
        let Some(on) = &self.on_gpu else { return Ok(None) };
        let mut lut = Vec::new();
        self.table.lookup(&self.scaled(query), &mut lut);
        // Boosts move the session's own items up or down: as many more are wanted, and theirs are scored here.
        let wanted = 2 * count + prefix.len();
        let Some(found) = on.shelf.best(&lut, wanted).await? else { return Ok(None) };
        let complete = found.len() >= self.table.items();
        let own = |item: &u32| latest(prefix).any(|(i, _)| i == *item);
        let boosted = latest(prefix).filter_map(|(item, back)| {
            let boost = self.repeat.get(back).copied().unwrap_or(0.0);
            Some((item, self.table.score_looked_up(&lut, item)? + boost))
        });
        let others = found.into_iter().filter(|(item, _)| !own(item));
        let mut best = TopK::new(count);
        boosted.chain(others).filter(|x| allow(x.0)).for_each(|(item, score)| best.offer(item, score));
        let best = best.into_sorted();
        // A strict filter may have left too few of those that were asked for.
        Ok((complete || best.len() >= count).then_some(best))
    }
}
