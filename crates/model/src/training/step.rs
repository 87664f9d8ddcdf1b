//! One training step.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};
use onshelf_core::rank::top_k;
use onshelf_core::version::StudentShape;
use onshelf_core::weights::Weights;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::anchor::{Anchor, Importance};
use super::batch::Batch;
use super::items::ItemSource;
use crate::adam::Adam;
use crate::encoder::{Encoder, REPEAT};
use crate::error::ModelError;

/// Draws negatives in proportion to `count^power`.
#[derive(Clone, Debug)]
pub struct Candidates {
    cumulative: Vec<f64>,
    chance: Vec<f64>,
    /// Share of the clicks: how likely an item is one position's target.
    target: Vec<f64>,
    samples: usize,
}

impl Candidates {
    /// `counts[i]` are the clicks on item `i` (0 is padding); `samples` draws a step.
    #[must_use]
    pub fn new(counts: &[u32], power: f64, samples: usize) -> Self {
        let mut weights: Vec<f64> = counts.iter().map(|&c| f64::from(c).powf(power)).collect();
        if let Some(padding) = weights.first_mut() {
            *padding = 0.0;
        }
        for (w, &c) in weights.iter_mut().zip(counts) {
            if c == 0 {
                *w = 0.0;
            }
        }
        let total: f64 = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let chance: Vec<f64> = weights.iter().map(|w| w / total).collect();
        let mut sum = 0.0;
        let cumulative = chance
            .iter()
            .map(|c| {
                sum += c;
                sum
            })
            .collect();
        let clicks = counts.iter().map(|&c| f64::from(c)).sum::<f64>().max(1.0);
        let target = counts.iter().map(|&c| f64::from(c) / clicks).collect();
        Self { cumulative, chance, target, samples }
    }

    /// The targets come from another log than the negatives: `counts` are its clicks.
    #[must_use]
    pub fn with_targets(mut self, counts: &[u32]) -> Self {
        let clicks = counts.iter().map(|&c| f64::from(c)).sum::<f64>().max(1.0);
        self.target = counts.iter().map(|&c| f64::from(c) / clicks).collect();
        self
    }

    /// Log of the chance that an item is among the candidates of a step: drawn at least once as a
    /// sample, or as one of `clicks` items that come up in proportion to their clicks.
    fn log_chance(&self, item: u32, clicks: usize) -> f32 {
        let at = item as usize;
        let expected = self.samples as f64 * self.chance[at] + clicks as f64 * self.target[at];
        (1.0 - (-expected).exp()).max(1e-6).ln() as f32
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> u32 {
        let at: f64 = rng.random();
        self.cumulative.partition_point(|&c| c <= at).min(self.cumulative.len() - 1) as u32
    }
}

/// The teacher's best items for positions of a training set.
#[derive(Clone, Default)]
pub struct SoftTargets {
    /// Items a position.
    pub k: usize,
    /// Row of each position (index of its target click), `u32::MAX` for none.
    pub row_of: Vec<u32>,
    /// `[rows, k]` items, best first; 0 is none.
    pub items: Vec<u32>,
    /// `[rows, k]` probabilities.
    pub chances: Vec<f32>,
}

impl SoftTargets {
    /// Adds the best `k` items of every position of a batch, of their probabilities `[rows, items]`.
    pub fn add(&mut self, batch: &Batch, chances: &[f32], items: usize) {
        let k = self.k;
        let best: Vec<Vec<(u32, f32)>> =
            chances.par_chunks_exact(items).map(|row| top_k(row, k, |_| true)).collect();
        for (&position, list) in batch.positions.iter().zip(&best) {
            self.row_of[position as usize] = (self.items.len() / k) as u32;
            let sum: f32 = list.iter().map(|b| b.1).sum::<f32>().max(1e-12);
            for at in 0..k {
                let (item, chance) = list.get(at).copied().unwrap_or((0, 0.0));
                self.items.push(item);
                self.chances.push(chance / sum);
            }
        }
    }

    fn of(&self, position: u32) -> Option<(&[u32], &[f32])> {
        let row = *self.row_of.get(position as usize)? as usize;
        let range = row.checked_mul(self.k)?..row.checked_mul(self.k)?.checked_add(self.k)?;
        Some((self.items.get(range.clone())?, &self.chances[range]))
    }
}

/// Settings of a step.
#[derive(Clone, Copy, Debug)]
pub struct StepOptions {
    /// Learning rate of the encoder.
    pub rate: f32,
    /// Learning rate of item vectors and biases.
    pub item_rate: f32,
    /// Decoupled weight decay of the encoder.
    pub decay: f32,
    /// Share of item-vector elements that are dropped (0–1).
    pub dropout: f32,
    /// Share of the loss that follows the teacher where it has an opinion (0–1).
    pub distil: f32,
    /// The teacher's best items that are certain to be candidates.
    pub certain: usize,
}

/// The encoder in training: parameters, moments, and one device.
pub struct Stepper {
    /// The encoder's parameters.
    pub weights: Weights,
    shape: StudentShape,
    moments: HashMap<String, Adam>,
    device: Device,
    steps: u64,
    /// Where parameters are drawn to while they learn.
    pub anchor: Option<Anchor>,
    /// While there is one, steps add their squared gradients to it and change nothing.
    pub importance: Option<Importance>,
}

/// The step's candidates: items, and the log of each one's chance to be among them.
struct Chosen {
    items: Vec<u32>,
    index: HashMap<u32, u32>,
    log_chance: Vec<f32>,
}

impl Stepper {
    /// Starts with fresh moments.
    #[must_use]
    pub fn new(weights: Weights, shape: StudentShape, device: &Device) -> Self {
        Self {
            weights,
            shape,
            moments: HashMap::new(),
            device: device.clone().autodiff(),
            steps: 0,
            anchor: None,
            importance: None,
        }
    }

    /// One step on a batch; gives the mean loss (nats a position).
    ///
    /// # Errors
    /// [`ModelError::NotFinite`] where loss or gradients are not; nothing is changed then.
    pub fn step(
        &mut self,
        items: &mut impl ItemSource,
        batch: &Batch,
        candidates: &Candidates,
        soft: Option<&SoftTargets>,
        options: &StepOptions,
        rng: &mut ChaCha8Rng,
    ) -> Result<f64, ModelError> {
        let step = self.steps;
        self.steps += 1;
        let dim = self.shape.dim;
        let chosen = choose(batch, candidates, soft, options, rng);

        // Forward through the encoder, with the items' vectors as leaves.
        let mut plain = Vec::with_capacity(batch.items.len() * dim);
        batch.items.iter().for_each(|&i| items.push_vector(i, &mut plain));
        let keep = 1.0 - options.dropout;
        let mask: Vec<f32> = (0..plain.len())
            .map(|_| {
                if options.dropout == 0.0 {
                    1.0
                } else if rng.random::<f32>() < keep {
                    1.0 / keep
                } else {
                    0.0
                }
            })
            .collect();
        let noisy: Vec<f32> = plain.iter().zip(&mask).map(|(x, m)| x * m).collect();
        let shape = [batch.input.sessions, batch.input.length, dim];
        let plain = Tensor::<3>::from_data(TensorData::new(plain, shape), &self.device).require_grad();
        let noisy = Tensor::<3>::from_data(TensorData::new(noisy, shape), &self.device).require_grad();
        let encoder = Encoder::new(&self.weights, &self.shape, &self.device, true)?;
        let all = encoder.forward(plain.clone(), noisy.clone(), &batch.input);
        let all = all.reshape([batch.items.len(), dim]);

        // Scores of the predicted positions against the candidates, softmax and its gradient.
        let cpu = self.device.clone().inner();
        let sessions = read(all.clone().inner())?;
        let rows: Vec<f32> =
            batch.rows.iter().flat_map(|&r| sessions[r * dim..(r + 1) * dim].iter().copied()).collect();
        let (p, c) = (batch.rows.len(), chosen.items.len());
        let mut vectors = Vec::with_capacity(c * dim);
        chosen.items.iter().for_each(|&i| items.push_vector(i, &mut vectors));
        let rows = Tensor::<2>::from_data(TensorData::new(rows, [p, dim]), &cpu);
        let vectors = Tensor::<2>::from_data(TensorData::new(vectors, [c, dim]), &cpu);
        let mut scores = read(rows.clone().matmul(vectors.clone().transpose()))?;
        let bias: Vec<f32> =
            chosen.items.iter().zip(&chosen.log_chance).map(|(&i, q)| items.bias(i) - q).collect();
        let repeat = self.weights.get(REPEAT, &[self.shape.max_len])?.values.clone();
        let own = own_items(batch, &chosen);
        for (row, own) in scores.chunks_exact_mut(c).zip(&own) {
            for &(c, back) in own {
                let boost = back.and_then(|b| repeat.get(b)).copied().unwrap_or(0.0);
                row[c] += (boost + chosen.log_chance[c]) * self.shape.temperature;
            }
        }
        let loss =
            softmax_gradient(&mut scores, batch, &chosen, &bias, soft, options, self.shape.temperature);
        if !loss.is_finite() {
            return Err(ModelError::NotFinite { what: "loss", step });
        }
        let bias_gradient = column_sums(&scores, c);
        let mut repeat_gradient = vec![0.0; repeat.len()];
        for (row, own) in scores.chunks_exact(c).zip(&own) {
            for &(c, back) in own {
                if let Some(g) = back.and_then(|b| repeat_gradient.get_mut(b)) {
                    *g += row[c];
                }
            }
        }
        let gradient = Tensor::<2>::from_data(TensorData::new(scores, [p, c]), &cpu);
        let scale = 1.0 / self.shape.temperature;
        let vector_gradient = read(gradient.clone().transpose().matmul(rows) * scale)?;
        let row_gradient = read(gradient.matmul(vectors) * scale)?;

        // Back through the encoder: the inner product with a constant has that constant as gradient.
        let mut upstream = vec![0.0; batch.items.len() * dim];
        for (&r, g) in batch.rows.iter().zip(row_gradient.chunks_exact(dim)) {
            upstream[r * dim..(r + 1) * dim].copy_from_slice(g);
        }
        let upstream =
            Tensor::<2>::from_data(TensorData::new(upstream, [batch.items.len(), dim]), &self.device);
        let grads = (all * upstream).sum().backward();
        let mut updates = vec![(REPEAT.to_owned(), repeat_gradient)];
        for (name, g) in encoder.gradients(&grads) {
            let g = read(g)?;
            if !g.iter().all(|x| x.is_finite()) {
                return Err(ModelError::NotFinite { what: "gradient", step });
            }
            updates.push((name, g));
        }
        let empty = || ModelError::Device("no gradient came back".into());
        let plain_gradient = read(plain.grad(&grads).ok_or_else(empty)?)?;
        let noisy_gradient = read(noisy.grad(&grads).ok_or_else(empty)?)?;

        let (touched, mut vectors, biases) = gather_rows(
            batch,
            &chosen,
            dim,
            (&plain_gradient, &noisy_gradient, &mask),
            vector_gradient,
            bias_gradient,
        );
        if let Some(importance) = &mut self.importance {
            importance.add(&updates, &touched, &vectors);
            return Ok(loss);
        }
        if let Some(anchor) = &self.anchor {
            let mut current = Vec::with_capacity(vectors.len());
            touched.iter().for_each(|&i| items.push_vector(i, &mut current));
            anchor.pull(&self.weights, &mut updates, &touched, &current, &mut vectors);
        }
        for (name, g) in updates {
            let Some(tensor) = self.weights.floats.get_mut(&name) else { continue };
            let adam = self.moments.entry(name.clone()).or_insert_with(|| Adam::new(g.len()));
            // A handful of plain numbers in logits: they move as biases do.
            let (rate, decay) =
                if name == REPEAT { (options.item_rate, 0.0) } else { (options.rate, options.decay) };
            adam.step(&mut tensor.values, &g, rate, decay);
        }
        items.step(&touched, &vectors, &biases, options.item_rate);
        Ok(loss)
    }

    /// Parameters and moments, to be restored with [`Self::restore`].
    #[must_use]
    pub fn checkpoint(&self) -> Weights {
        let mut out = self.weights.clone();
        for (name, adam) in &self.moments {
            adam.write(&format!("adam.{name}"), &mut out);
        }
        out
    }

    /// Takes over what [`Self::checkpoint`] gave.
    ///
    /// # Errors
    /// [`ModelError::Weights`] where it was made for another shape; nothing is changed then.
    pub fn restore(&mut self, saved: &Weights) -> Result<(), ModelError> {
        let mut weights = Weights::default();
        let mut moments = HashMap::new();
        for (name, tensor) in &self.weights.floats {
            weights.floats.insert(name.clone(), saved.get(name, &tensor.shape)?.clone());
            if let Some(adam) = Adam::read(&format!("adam.{name}"), tensor.values.len(), saved)? {
                moments.insert(name.clone(), adam);
            }
        }
        (self.weights, self.moments) = (weights, moments);
        Ok(())
    }

    /// Steps so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }
}

pub(super) fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, ModelError> {
    tensor.try_into_vec_as::<f32>().map_err(|e| ModelError::Device(e.to_string()))
}

fn choose(
    batch: &Batch,
    candidates: &Candidates,
    soft: Option<&SoftTargets>,
    options: &StepOptions,
    rng: &mut ChaCha8Rng,
) -> Chosen {
    let mut chosen = Chosen { items: Vec::new(), index: HashMap::new(), log_chance: Vec::new() };
    let mut add = |item: u32| {
        let next = chosen.items.len() as u32;
        chosen.index.entry(item).or_insert_with(|| {
            chosen.items.push(item);
            next
        });
    };
    for &t in &batch.targets {
        add(t);
    }
    // The sessions' own items: whether they come again has to be learned.
    batch.items.iter().filter(|&&i| i != 0).for_each(|&i| add(i));
    for _ in 0..candidates.samples {
        add(candidates.draw(rng));
    }
    if let Some(soft) = soft {
        for &position in &batch.positions {
            let best = soft.of(position).map_or(&[][..], |(items, _)| items);
            best.iter().take(options.certain).filter(|&&i| i != 0).for_each(|&i| add(i));
        }
    }
    // Targets, session items and the teacher's best come up about as often as they are clicked.
    let certain = if soft.is_some() { options.certain } else { 0 };
    let clicks = batch.targets.len() * (1 + certain);
    chosen.log_chance = chosen.items.iter().map(|&i| candidates.log_chance(i, clicks)).collect();
    chosen
}

/// Turns scores into the gradient of the loss by the scores (before bias and temperature), in
/// place; gives the mean loss.
fn softmax_gradient(
    scores: &mut [f32],
    batch: &Batch,
    chosen: &Chosen,
    bias: &[f32],
    soft: Option<&SoftTargets>,
    options: &StepOptions,
    temperature: f32,
) -> f64 {
    let total: f32 = batch.weights.iter().sum::<f32>().max(1e-12);
    let width = bias.len();
    let loss: f64 = scores
        .par_chunks_exact_mut(width)
        .enumerate()
        .map(|(p, row)| {
            let weight = batch.weights[p] / total;
            let mut top = f32::NEG_INFINITY;
            for (s, b) in row.iter_mut().zip(bias) {
                *s = *s / temperature + b;
                top = top.max(*s);
            }
            let targets = targets_of(p, batch, chosen, soft, options);
            // Cross-entropy with targets y: logsumexp - sum(y * s), since y sums to 1.
            let aim: f32 = targets.iter().map(|&(c, y)| y * row[c]).sum();
            let mut sum = 0.0;
            for s in row.iter_mut() {
                *s = (*s - top).exp();
                sum += *s;
            }
            let scale = weight / sum;
            row.iter_mut().for_each(|s| *s *= scale);
            for (c, y) in targets {
                row[c] -= y * weight;
            }
            f64::from(weight) * f64::from(top + sum.ln() - aim)
        })
        .sum();
    loss
}

/// The wanted distribution of a position, as (candidate, share).
fn targets_of(
    p: usize,
    batch: &Batch,
    chosen: &Chosen,
    soft: Option<&SoftTargets>,
    options: &StepOptions,
) -> Vec<(usize, f32)> {
    let own = chosen.index[&batch.targets[p]] as usize;
    let Some((items, chances)) = soft.and_then(|s| s.of(batch.positions[p])) else { return vec![(own, 1.0)] };
    let mut out: Vec<(usize, f32)> = items
        .iter()
        .zip(chances)
        .filter_map(|(i, &y)| chosen.index.get(i).map(|&c| (c as usize, y)))
        .collect();
    let sum: f32 = out.iter().map(|t| t.1).sum();
    if sum <= 0.0 {
        return vec![(own, 1.0)];
    }
    out.iter_mut().for_each(|t| t.1 *= options.distil / sum);
    out.push((own, 1.0 - options.distil));
    out
}

/// For each predicted position: the candidates of its own session, and how many clicks ago each
/// was last clicked (`None` for those still to come).
///
/// They are candidates of this position for certain, whatever their popularity, so the correction
/// by the log of their chance must not apply to them: with it, training sees repeats far too often
/// and learns to rank them down. Only a target that was not clicked before came by chance.
fn own_items(batch: &Batch, chosen: &Chosen) -> Vec<Vec<(usize, Option<usize>)>> {
    let length = batch.input.length;
    let mut sessions: HashMap<usize, Vec<u32>> = HashMap::new();
    for (&row, &target) in batch.rows.iter().zip(&batch.targets) {
        let start = row / length * length;
        let list =
            sessions.entry(row / length).or_insert_with(|| batch.items[start..start + length].to_vec());
        list.push(target);
    }
    sessions.values_mut().for_each(|list| {
        list.retain(|&i| i != 0);
        list.sort_unstable();
        list.dedup();
    });
    let of = |(&row, &target): (&usize, &u32)| {
        let prefix = batch.prefix(row);
        sessions[&(row / length)]
            .iter()
            .filter_map(|&item| {
                let back = prefix.iter().rev().position(|&i| i == item);
                let certain = back.is_some() || item != target;
                certain.then(|| (chosen.index[&item] as usize, back))
            })
            .collect()
    };
    batch.rows.iter().zip(&batch.targets).map(of).collect()
}

fn column_sums(matrix: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0; width];
    for row in matrix.chunks_exact(width) {
        sums.iter_mut().zip(row).for_each(|(s, x)| *s += x);
    }
    sums
}

/// Adds up the gradients of each touched item: as a candidate and as an input.
fn gather_rows(
    batch: &Batch,
    chosen: &Chosen,
    dim: usize,
    (plain, noisy, mask): (&[f32], &[f32], &[f32]),
    mut vectors: Vec<f32>,
    mut biases: Vec<f32>,
) -> (Vec<u32>, Vec<f32>, Vec<f32>) {
    let mut touched = chosen.items.clone();
    let mut index = chosen.index.clone();
    for (at, &item) in batch.items.iter().enumerate() {
        if item == 0 {
            continue;
        }
        let row = *index.entry(item).or_insert_with(|| {
            touched.push(item);
            vectors.resize(vectors.len() + dim, 0.0);
            biases.push(0.0);
            touched.len() as u32 - 1
        }) as usize;
        let target = &mut vectors[row * dim..(row + 1) * dim];
        let range = at * dim..(at + 1) * dim;
        for ((t, g), (n, m)) in
            target.iter_mut().zip(&plain[range.clone()]).zip(noisy[range.clone()].iter().zip(&mask[range]))
        {
            *t += g + n * m;
        }
    }
    (touched, vectors, biases)
}
