//! Orders a teacher's best candidates once more, by what network and neighbours cannot say to each
//! other: how sure each of them is, how an item's clicks are going, whether it was in the session.
//!
//! A perceptron of two hidden layers adds to the log of the mixed probability, and is fitted by a
//! softmax over the candidates of one prediction (ListNet, Cao et al., ICML 2007). It must be fitted
//! on predictions for clicks that neither network nor neighbours had seen. Before it is fitted it adds
//! nothing, and it stays so where held-back predictions do not get better.

use burn::tensor::{Device, Tensor, TensorData, activation};
use onshelf_core::neighbour::SessionLog;
use onshelf_core::weights::{self, Weights};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::network::read;
use crate::adam::Adam;
use crate::error::ModelError;

/// Candidates of a prediction.
pub const CANDIDATES: usize = 100;
/// Numbers known about a candidate.
pub const FEATURES: usize = 16;
const HIDDEN: usize = 32;
const BATCH: usize = 128;
const RATE: f32 = 3e-3;
const DECAY: f32 = 0.01;
/// Passes over the predictions: so many that there are this many steps, within limits.
const STEPS: usize = 600;
/// Fewer predictions than this teach nothing that would hold.
const FEWEST: usize = 200;

/// What a log says of every item.
#[derive(Clone, Debug, Default)]
pub struct ItemFacts {
    /// `ln(1 + clicks)`; 0 for an item that nobody clicked.
    count: Vec<f32>,
    /// How the newest sixteenth and the newest quarter of the sessions compare with the item's mean:
    /// the log of a ratio, 0 where it is as ever.
    trend: [Vec<f32>; 2],
    /// When it was first clicked: 0 in the oldest session, 1 in the newest.
    first: Vec<f32>,
}

impl ItemFacts {
    /// Counts.
    #[must_use]
    pub fn new(log: &SessionLog, items: usize) -> Self {
        let sessions = log.len();
        let mut count = vec![0.0_f32; items + 1];
        let mut first = vec![1.0_f32; items + 1];
        let mut recent = [vec![0.0_f32; items + 1], vec![0.0_f32; items + 1]];
        for (s, session) in log.iter().enumerate() {
            let age = sessions - 1 - s;
            for &i in session {
                let i = i as usize;
                if count[i] == 0.0 {
                    first[i] = s as f32 / sessions as f32;
                }
                count[i] += 1.0;
                for (clicks, part) in recent.iter_mut().zip(PARTS) {
                    if age < sessions.div_ceil(part) {
                        clicks[i] += 1.0;
                    }
                }
            }
        }
        let mut trend = recent;
        for (clicks, part) in trend.iter_mut().zip(PARTS) {
            for (c, &all) in clicks.iter_mut().zip(&count) {
                *c = ((*c * part as f32 + 1.0) / (all + 1.0)).ln();
            }
        }
        count.iter_mut().for_each(|c| *c = c.ln_1p());
        Self { count, trend, first }
    }

    /// Whether anybody clicked the item.
    #[must_use]
    pub fn seen(&self, item: u32) -> bool {
        self.count.get(item as usize).is_some_and(|&c| c > 0.0)
    }

    /// Items that were clicked.
    #[must_use]
    pub fn known(&self) -> usize {
        self.count.iter().filter(|&&c| c > 0.0).count()
    }
}

const PARTS: [usize; 2] = [16, 4];

/// What is known about a prediction as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Situation {
    /// Entropy of the network's probabilities, nats.
    pub(super) entropy: f32,
    /// The neighbours' largest share.
    pub(super) surest: f32,
    /// Items that the neighbours name.
    pub(super) named: usize,
    /// The network's share in the mix.
    pub(super) network: f32,
}

/// What is known about one candidate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// The item.
    pub(super) item: u32,
    /// The network's probability.
    pub(super) network: f32,
    /// The neighbours' share.
    pub(super) neighbours: f32,
    /// The mix of both.
    pub(super) mix: f32,
    /// Share of the newest item's followers.
    pub(super) follows: f32,
    /// Cosine with the newest item.
    pub(super) alike: f32,
}

/// The features of a candidate after the clicks of `prefix`.
#[must_use]
pub(super) fn features(
    candidate: &Candidate,
    situation: &Situation,
    facts: &ItemFacts,
    prefix: &[u32],
) -> [f32; FEATURES] {
    let i = candidate.item as usize;
    let back = prefix.iter().rev().position(|&x| x == candidate.item);
    let clicks = prefix.iter().filter(|&&x| x != 0).count();
    [
        candidate.network.max(1e-9).ln(),
        (candidate.neighbours + 1e-6).ln(),
        (candidate.mix + 1e-9).ln(),
        (candidate.follows + 1e-4).ln(),
        candidate.alike,
        f32::from(u8::from(back.is_some())),
        f32::from(u8::from(back == Some(0))),
        back.map_or(0.0, |b| 1.0 / (1.0 + b as f32)),
        (clicks.max(1) as f32).ln(),
        facts.count[i],
        facts.trend[0][i],
        facts.trend[1][i],
        facts.first[i],
        situation.entropy,
        situation.surest,
        (situation.named.max(1) as f32).ln(),
    ]
}

/// Predictions to learn from.
#[derive(Clone, Debug, Default)]
pub struct Examples {
    /// Candidates of each prediction.
    pub width: usize,
    /// `[predictions, width, FEATURES]`.
    pub features: Vec<f32>,
    /// `[predictions, width]`: log of the mix.
    pub base: Vec<f32>,
    /// Place of the clicked item among the candidates.
    pub clicked: Vec<usize>,
    /// The session of each prediction: sessions are held back as a whole.
    pub session: Vec<u32>,
}

impl Examples {
    /// Number of predictions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clicked.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clicked.is_empty()
    }
}

/// How a fit went: mean loss (nats a prediction) on held-back sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Of the mix alone.
    pub before: f64,
    /// Of the chosen epoch.
    pub after: f64,
    /// Predictions that were learned from.
    pub examples: usize,
}

/// The fitted perceptron.
#[derive(Clone, Debug)]
pub struct Reranker {
    weights: Weights,
}

const LAYERS: [(&str, &[usize]); 8] = [
    ("mean", &[FEATURES]),
    ("scale", &[FEATURES]),
    ("first", &[FEATURES, HIDDEN]),
    ("first_bias", &[HIDDEN]),
    ("second", &[HIDDEN, HIDDEN]),
    ("second_bias", &[HIDDEN]),
    ("last", &[HIDDEN]),
    ("share", &[1]),
];
const TRAINED: [&str; 6] = ["first", "first_bias", "second", "second_bias", "last", "share"];

impl Reranker {
    /// Fits on predictions, going on from `self` or from nothing. A quarter of the sessions is held
    /// back and decides when to stop.
    ///
    /// # Errors
    /// [`ModelError::Device`]; [`ModelError::NotFinite`].
    pub fn fit(
        from: Option<&Self>,
        examples: &Examples,
        device: &Device,
        rng: &mut ChaCha8Rng,
    ) -> Result<(Option<Self>, Fit), ModelError> {
        if examples.len() < FEWEST {
            return Ok((from.cloned(), Fit::default()));
        }
        let mut model = from.cloned().unwrap_or_else(|| Self::fresh(examples, rng));
        let (judge, mut learn): (Vec<usize>, Vec<usize>) =
            (0..examples.len()).partition(|&e| held_back(examples.session[e]));
        if judge.is_empty() || learn.is_empty() {
            return Ok((from.cloned(), Fit::default()));
        }
        let plain =
            mean_loss(examples, &judge, |e| examples.base[e * examples.width..][..examples.width].to_vec());
        let mut best = (model.loss(examples, &judge), from.map(|_| model.weights.clone()));
        if best.0 > plain {
            best = (plain, None);
        }
        let mut moments: Vec<Adam> =
            TRAINED.iter().map(|n| Adam::new(model.weights.floats[*n].values.len())).collect();
        let device = device.clone().autodiff();
        let epochs = STEPS.div_ceil(learn.len().div_ceil(BATCH)).clamp(6, 40);
        let steps = epochs * learn.len().div_ceil(BATCH);
        let mut done = 0;
        for _ in 0..epochs {
            learn.shuffle(rng);
            for part in learn.chunks(BATCH) {
                let rate = RATE * (1.0 - done as f32 / steps as f32);
                model.step(examples, part, &device, &mut moments, rate)?;
                done += 1;
            }
            let loss = model.loss(examples, &judge);
            if loss < best.0 {
                best = (loss, Some(model.weights.clone()));
            }
        }
        let fit = Fit { before: plain, after: best.0, examples: learn.len() };
        Ok((best.1.map(|weights| Self { weights }), fit))
    }

    /// Adds nothing to any candidate yet; centres the features on the examples.
    fn fresh(examples: &Examples, rng: &mut ChaCha8Rng) -> Self {
        let n = (examples.features.len() / FEATURES).max(1) as f32;
        let mut mean = vec![0.0; FEATURES];
        let mut square = vec![0.0; FEATURES];
        for row in examples.features.chunks_exact(FEATURES) {
            for ((m, s), x) in mean.iter_mut().zip(&mut square).zip(row) {
                *m += x / n;
                *s += x * x / n;
            }
        }
        let scale: Vec<f32> =
            mean.iter().zip(&square).map(|(m, s)| 1.0 / (s - m * m).max(1e-4).sqrt()).collect();
        let mut weights = Weights::default();
        for (name, shape) in LAYERS {
            let n = shape.iter().product();
            let limit = (6.0 / (shape[0] + HIDDEN) as f32).sqrt();
            let values = match name {
                "mean" => mean.clone(),
                "scale" => scale.clone(),
                "share" => vec![1.0],
                "first" | "second" => (0..n).map(|_| (rng.random::<f32>() * 2.0 - 1.0) * limit).collect(),
                _ => vec![0.0; n],
            };
            weights.floats.insert(name.into(), weights::Tensor { shape: shape.to_vec(), values });
        }
        Self { weights }
    }

    fn step(
        &mut self,
        examples: &Examples,
        part: &[usize],
        device: &Device,
        moments: &mut [Adam],
        rate: f32,
    ) -> Result<(), ModelError> {
        let (b, k) = (part.len(), examples.width);
        let mut x = Vec::with_capacity(b * k * FEATURES);
        let mut base = Vec::with_capacity(b * k);
        let mut wanted = vec![0.0; b * k];
        for (row, &e) in part.iter().enumerate() {
            self.centred(&examples.features[e * k * FEATURES..(e + 1) * k * FEATURES], &mut x);
            base.extend_from_slice(&examples.base[e * k..(e + 1) * k]);
            wanted[row * k + examples.clicked[e]] = 1.0 / b as f32;
        }
        let two = |name: &str, rows: usize, columns: usize| {
            let values = self.weights.floats[name].values.clone();
            Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), device).require_grad()
        };
        let leaves = [
            two("first", FEATURES, HIDDEN),
            two("first_bias", 1, HIDDEN),
            two("second", HIDDEN, HIDDEN),
            two("second_bias", 1, HIDDEN),
            two("last", HIDDEN, 1),
            two("share", 1, 1),
        ];
        let [first, first_bias, second, second_bias, last, share] = leaves.clone();
        let x = Tensor::<2>::from_data(TensorData::new(x, [b * k, FEATURES]), device);
        let base = Tensor::<2>::from_data(TensorData::new(base, [b, k]), device);
        let wanted = Tensor::<2>::from_data(TensorData::new(wanted, [b, k]), device);
        let h = activation::relu(x.matmul(first) + first_bias);
        let h = activation::relu(h.matmul(second) + second_bias);
        let scores = h.matmul(last).reshape([b, k]) + base * share;
        let loss = (activation::log_softmax(scores, 1) * wanted).sum() * -1.0;
        let grads = loss.backward();
        for ((leaf, name), adam) in leaves.iter().zip(TRAINED).zip(moments) {
            let gradient =
                leaf.grad(&grads).ok_or_else(|| ModelError::Device("no gradient came back".into()))?;
            let gradient = read(gradient)?;
            if !gradient.iter().all(|g| g.is_finite()) {
                return Err(ModelError::NotFinite { what: "gradient", step: 0 });
            }
            if let Some(tensor) = self.weights.floats.get_mut(name) {
                adam.step(&mut tensor.values, &gradient, rate, DECAY);
            }
        }
        Ok(())
    }

    fn centred(&self, features: &[f32], out: &mut Vec<f32>) {
        let (mean, scale) = (&self.weights.floats["mean"].values, &self.weights.floats["scale"].values);
        for row in features.chunks_exact(FEATURES) {
            out.extend(row.iter().zip(mean).zip(scale).map(|((x, m), s)| (x - m) * s));
        }
    }

    /// Scores of candidates: `features` is `[width, FEATURES]`, `base` the log of their mix.
    pub fn score(&self, features: &[f32], base: &[f32], out: &mut Vec<f32>) {
        let part = |name: &str| &self.weights.floats[name].values[..];
        let share = part("share")[0];
        let mut row = Vec::with_capacity(FEATURES);
        out.clear();
        for (f, b) in features.chunks_exact(FEATURES).zip(base) {
            row.clear();
            self.centred(f, &mut row);
            let first = layer(&row, part("first"), part("first_bias"));
            let second = layer(&first, part("second"), part("second_bias"));
            let last: f32 = second.iter().zip(part("last")).map(|(a, b)| a * b).sum();
            out.push(last + share * b);
        }
    }

    /// Mean loss (nats a prediction) over some examples.
    fn loss(&self, examples: &Examples, which: &[usize]) -> f64 {
        let k = examples.width;
        mean_loss(examples, which, |e| {
            let mut scores = Vec::new();
            let features = &examples.features[e * k * FEATURES..(e + 1) * k * FEATURES];
            self.score(features, &examples.base[e * k..(e + 1) * k], &mut scores);
            scores
        })
    }

    /// The tensors.
    #[must_use]
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Reads what [`Self::weights`] gave.
    ///
    /// # Errors
    /// [`ModelError::Weights`] naming the tensor that is missing, misshapen or not finite.
    pub fn from_weights(saved: &Weights) -> Result<Self, ModelError> {
        let mut weights = Weights::default();
        for (name, shape) in LAYERS {
            weights.floats.insert(name.into(), saved.get(name, shape)?.clone());
        }
        Ok(Self { weights })
    }
}

/// Mean cross-entropy (nats a prediction) of scores, `[width]` for each of some examples.
fn mean_loss(examples: &Examples, which: &[usize], scores: impl Fn(usize) -> Vec<f32> + Sync) -> f64 {
    let sum: f64 = which
        .par_iter()
        .map(|&e| {
            let scores = scores(e);
            let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = scores.iter().map(|s| (s - top).exp()).sum();
            f64::from(top + sum.ln() - scores[examples.clicked[e]])
        })
        .sum();
    sum / which.len().max(1) as f64
}

/// Every fourth session, whatever their numbers have in common.
fn held_back(session: u32) -> bool {
    (session.wrapping_mul(0x9e37_79b1) >> 16) % 4 == 3
}

/// A layer with rectified units; `weights` is `[inputs, HIDDEN]`.
fn layer(x: &[f32], weights: &[f32], bias: &[f32]) -> [f32; HIDDEN] {
    let mut out = [0.0; HIDDEN];
    out.copy_from_slice(bias);
    for (x, row) in x.iter().zip(weights.chunks_exact(HIDDEN)) {
        for (o, w) in out.iter_mut().zip(row) {
            *o += x * w;
        }
    }
    out.iter_mut().for_each(|o| *o = o.max(0.0));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    /// The mix says nothing; the trend says which item is clicked.
    fn planted(n: usize) -> Examples {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let width = 6;
        let mut out = Examples { width, ..Default::default() };
        for e in 0..n {
            let clicked = rng.random_range(0..width);
            for c in 0..width {
                let mut row = [0.0; FEATURES];
                row[10] = if c == clicked { 2.0 } else { 0.0 } + rng.random::<f32>();
                row[3] = rng.random();
                out.features.extend(row);
                out.base.push(-1.0);
            }
            out.clicked.push(clicked);
            out.session.push(e as u32);
        }
        out
    }

    #[test]
    fn learns_what_the_mix_does_not_know() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (model, fit) = Reranker::fit(None, &planted(1000), &Device::flex(), &mut rng).unwrap();
        assert!((fit.before - 6.0_f64.ln()).abs() < 1e-3, "{fit:?}");
        assert!(model.is_some() && fit.after < 0.5 * fit.before, "{fit:?}");
        let model = model.unwrap();
        let again = Reranker::from_weights(model.weights()).unwrap();
        let (mut a, mut b) = (Vec::new(), Vec::new());
        let new = planted(1);
        model.score(&new.features, &new.base, &mut a);
        again.score(&new.features, &new.base, &mut b);
        assert_eq!(a, b);
    }

    #[test]
    fn sessions_of_any_stride_are_learned_from_and_held_back() {
        for stride in 1..9 {
            let held = (0..1000).filter(|s| held_back(s * stride)).count();
            assert!((150..350).contains(&held), "{held} of 1000 at stride {stride}");
        }
    }

    #[test]
    fn noise_is_not_learned() {
        let mut examples = planted(400);
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        examples.features.iter_mut().for_each(|f| *f = rng.random());
        let (model, fit) = Reranker::fit(None, &examples, &Device::flex(), &mut rng).unwrap();
        assert!(fit.after <= fit.before);
        if model.is_some() {
            assert!(fit.before - fit.after < 0.05, "{fit:?}");
        }
    }

    #[test]
    fn facts_tell_rising_items() {
        let mut log = SessionLog::new();
        for s in 0..32 {
            log.push(if s < 30 { &[1, 1] } else { &[2, 1] });
        }
        let facts = ItemFacts::new(&log, 3);
        assert!(facts.trend[0][2] > 1.0 && facts.trend[0][1] < 0.0);
        assert!(facts.first[2] > 0.9 && facts.first[1] == 0.0);
        assert!(facts.seen(1) && !facts.seen(3) && facts.known() == 2);
    }
}
