//! One training step.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};
use onshelf_core::version::StudentShape;
use onshelf_core::weights::Weights;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::anchor::{Anchor, Importance};
use super::batch::Batch;
use super::candidates::{Candidates, Chosen};
use super::items::ItemSource;
use super::loss::{Loss, SoftTargets};
use super::network::slice;
use super::part::{Part, PartOut, Shared};
use super::wide::wide;
use crate::adam::Adam;
use crate::encoder::{Encoder, REPEAT};
use crate::error::ModelError;

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
    chosen: Chosen,
    steps: u64,
    /// Where parameters are drawn to while they learn.
    pub anchor: Option<Anchor>,
    /// While there is one, steps add their squared gradients to it and change nothing.
    pub importance: Option<Importance>,
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
            chosen: Chosen::default(),
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
        self.chosen.choose(batch, candidates, soft, options.certain, rng);
        let chosen = &self.chosen;

        let cpu = self.device.clone().inner();
        let encoder = Encoder::new(&self.weights, &self.shape, &cpu, false)?;
        let mut vectors = Vec::with_capacity(chosen.items.len() * dim);
        chosen.items.iter().for_each(|&i| items.push_vector(i, &mut vectors));
        let vectors = Tensor::<2>::from_data(TensorData::new(vectors, [chosen.items.len(), dim]), &cpu);
        let bias: Vec<f32> =
            chosen.items.iter().zip(&chosen.log_chance).map(|(&i, q)| items.bias(i) - q).collect();
        let shared = Shared {
            encoder: &encoder,
            device: &self.device,
            dim,
            items: &*items,
            vectors: &vectors,
            loss: Loss {
                batch,
                chosen,
                soft,
                distil: options.distil,
                temperature: self.shape.temperature,
                bias: &bias,
                repeat: &self.weights.get(REPEAT, &[self.shape.max_len])?.values,
                total: batch.weights.iter().sum::<f32>().max(1e-12),
            },
            dropout: options.dropout,
        };
        let parts: Vec<(Part, ChaCha8Rng)> =
            Part::of(batch).into_iter().map(|p| (p, ChaCha8Rng::from_rng(rng))).collect();
        let parts: Vec<PartOut> = parts
            .into_par_iter()
            .with_max_len(1)
            .map(|(part, mut rng)| part.run(&shared, &mut rng))
            .collect::<Result<_, _>>()?;

        let loss: f64 = parts.iter().map(|p| p.loss.loss).sum();
        if !loss.is_finite() {
            return Err(ModelError::NotFinite { what: "loss", step });
        }
        let mut updates = encoder_gradients(&parts)?;
        if !updates.iter().all(|(_, g)| g.iter().all(|x| x.is_finite())) {
            return Err(ModelError::NotFinite { what: "gradient", step });
        }
        let (mut vectors, biases) = item_gradients(&parts, batch, chosen, dim)?;
        if let Some(importance) = &mut self.importance {
            importance.add(&updates, &chosen.items, &vectors);
            return Ok(loss);
        }
        if let Some(anchor) = &self.anchor {
            let mut current = Vec::with_capacity(vectors.len());
            chosen.items.iter().for_each(|&i| items.push_vector(i, &mut current));
            anchor.pull(&self.weights, &mut updates, &chosen.items, &current, &mut vectors);
        }
        for (name, g) in updates {
            let Some(tensor) = self.weights.floats.get_mut(&name) else { continue };
            let adam = self.moments.entry(name.clone()).or_insert_with(|| Adam::new(g.len()));
            // A handful of plain numbers in logits: they move as biases do.
            let (rate, decay) =
                if name == REPEAT { (options.item_rate, 0.0) } else { (options.rate, options.decay) };
            wide(|| adam.step(&mut tensor.values, &g, rate, decay));
        }
        items.step(&chosen.items, &vectors, &biases, options.item_rate);
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

/// Gradients by the encoder's parameters and the boosts, of all parts together.
fn encoder_gradients(parts: &[PartOut]) -> Result<Vec<(String, Vec<f32>)>, ModelError> {
    let Some(first) = parts.first() else { return Ok(Vec::new()) };
    let mut repeat = vec![0.0; first.loss.repeat.len()];
    parts.iter().for_each(|p| add(&mut repeat, &p.loss.repeat));
    let mut out = vec![(REPEAT.to_owned(), repeat)];
    for (at, (name, values)) in first.encoder.iter().enumerate() {
        let mut sum = slice(values)?.to_vec();
        for part in &parts[1..] {
            add(&mut sum, slice(&part.encoder[at].1)?);
        }
        out.push((name.clone(), sum));
    }
    Ok(out)
}

/// Gradients by the vectors and biases of the candidates: as candidates and as inputs.
fn item_gradients(
    parts: &[PartOut],
    batch: &Batch,
    chosen: &Chosen,
    dim: usize,
) -> Result<(Vec<f32>, Vec<f32>), ModelError> {
    let mut biases = vec![0.0; chosen.items.len()];
    parts.iter().for_each(|p| add(&mut biases, &p.loss.bias));
    let by_part = parts.iter().map(|p| slice(&p.vectors)).collect::<Result<Vec<_>, _>>()?;
    let mut vectors = vec![0.0; chosen.items.len() * dim];
    let block = 256 * dim;
    vectors.par_chunks_mut(block).enumerate().for_each(|(at, sum)| {
        let range = at * block..at * block + sum.len();
        by_part.iter().for_each(|g| add(sum, &g[range.clone()]));
    });
    for part in parts {
        let clicked = batch.items[part.clicks.clone()].iter();
        for (&item, g) in clicked.zip(slice(&part.inputs)?.chunks_exact(dim)) {
            // Padding is no candidate.
            if let Some(place) = chosen.place(item) {
                add(&mut vectors[place * dim..(place + 1) * dim], g);
            }
        }
    }
    Ok((vectors, biases))
}

fn add(sum: &mut [f32], more: &[f32]) {
    wide(|| sum.iter_mut().zip(more).for_each(|(s, x)| *s += x));
}
