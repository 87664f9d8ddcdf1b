//! A whole training step against central finite differences of the loss it reports: encoder, repeat
//! boosts, item vectors and biases, with sampled negatives, soft targets and dropout.

use std::collections::BTreeMap;

use onshelf_core::neighbour::SessionLog;
use onshelf_core::version::StudentShape;
use onshelf_core::weights::Weights;
use onshelf_model::Device;
use onshelf_model::training::{
    Batch, Candidates, ItemSource, SoftTargets, StepOptions, Stepper, TrainSet, exact_batches,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

#[path = "support/random.rs"]
mod random;

use random::{Numbers, encoder_weights};

const ITEMS: usize = 12;
/// As in `gradients.rs`: large, for a five-point formula in float32.
const H: f32 = 0.01;

/// Items as plain tables that note the gradients of a step and do not move.
#[derive(Clone)]
struct Noted {
    vectors: Vec<f32>,
    biases: Vec<f32>,
    by_vector: BTreeMap<u32, Vec<f32>>,
    by_bias: BTreeMap<u32, f32>,
}

impl ItemSource for Noted {
    fn dim(&self) -> usize {
        self.vectors.len() / self.biases.len()
    }

    fn push_vector(&self, item: u32, out: &mut Vec<f32>) {
        let dim = self.dim();
        out.extend_from_slice(&self.vectors[item as usize * dim..(item as usize + 1) * dim]);
    }

    fn bias(&self, item: u32) -> f32 {
        self.biases[item as usize]
    }

    fn step(&mut self, items: &[u32], vectors: &[f32], biases: &[f32], _: f32) {
        let dim = self.dim();
        for ((&item, g), &b) in items.iter().zip(vectors.chunks_exact(dim)).zip(biases) {
            assert!(self.by_vector.insert(item, g.to_vec()).is_none(), "an item is touched once");
            self.by_bias.insert(item, b);
        }
    }
}

#[derive(Clone)]
struct Case {
    shape: StudentShape,
    weights: Weights,
    items: Noted,
    batch: Batch,
    soft: Option<SoftTargets>,
    options: StepOptions,
}

impl Case {
    fn new(taught: bool, dropout: f32) -> Self {
        let shape = StudentShape {
            dim: 8,
            blocks: 1,
            heads: 2,
            hidden: 8,
            max_len: 5,
            subspaces: 1,
            adapter_rank: 1,
            temperature: 0.5,
            times: true,
        };
        let mut numbers = Numbers(5);
        let mut weights = encoder_weights(&shape, &mut numbers);
        for (name, tensor) in &mut weights.floats {
            // Clear of the kinks of the ReLUs.
            if name.ends_with(".up") {
                tensor.values.iter_mut().for_each(|x| *x *= 0.3);
            } else if name.ends_with("up_bias") {
                tensor
                    .values
                    .iter_mut()
                    .enumerate()
                    .for_each(|(at, x)| *x = if at % 2 == 0 { 1.2 + *x } else { -1.2 + *x });
            }
        }
        let mut vectors = numbers.many((ITEMS + 1) * shape.dim, 0.6);
        vectors[..shape.dim].fill(0.0);
        let items = Noted {
            vectors,
            biases: numbers.many(ITEMS + 1, 0.5),
            by_vector: BTreeMap::new(),
            by_bias: BTreeMap::new(),
        };
        let mut log = SessionLog::new();
        // Repeats near and far, a session longer than max_len, and one that needs padding.
        log.push(&[1, 2, 1, 3, 3]);
        log.push(&[4, 5, 6]);
        log.push(&[7, 2, 7, 8, 9, 7, 2, 10]);
        let clicks = log.clicks();
        let set = TrainSet {
            log,
            kinds: (0..clicks).map(|k| (k % 6) as u8).collect(),
            gaps: (0..clicks).map(|k| (k % 8) as u8).collect(),
            weights: vec![1.0, 0.5, 2.0],
        };
        let mut all = exact_batches(&set, shape.max_len, 1000);
        assert_eq!(all.len(), 1);
        let soft = taught.then(|| SoftTargets {
            k: 2,
            row_of: (0..clicks as u32).map(|p| if p % 3 == 0 { u32::MAX } else { p }).collect(),
            items: (0..clicks as u32).flat_map(|p| [p % 11 + 1, (p + 4) % 11 + 1]).collect(),
            chances: (0..clicks).flat_map(|_| [0.75, 0.25]).collect(),
        });
        let options =
            StepOptions { rate: 1e-3, item_rate: 1e-3, decay: 0.0, dropout, distil: 0.6, certain: 1 };
        Self { shape, weights, items, batch: all.remove(0), soft, options }
    }

    /// The loss of a fresh stepper, with its gradients: those of the encoder from the first moments.
    fn step(&self) -> (f64, Weights, Noted) {
        let counts: Vec<u32> = (0..=ITEMS as u32).collect();
        let candidates = Candidates::new(&counts, 0.5, 6);
        let mut stepper = Stepper::new(self.weights.clone(), self.shape.clone(), &Device::flex());
        let mut items = self.items.clone();
        // The same seed draws the same negatives and drops the same elements.
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let loss = stepper
            .step(&mut items, &self.batch, &candidates, self.soft.as_ref(), &self.options, &mut rng)
            .unwrap();
        (loss, stepper.checkpoint(), items)
    }

    fn slope(&mut self, at: impl Fn(&mut Self) -> &mut f32) -> f64 {
        let start = *at(self);
        let mut value = |steps: f32| {
            *at(self) = start + steps * H;
            self.step().0
        };
        let (near, far) = (value(1.0) - value(-1.0), value(2.0) - value(-2.0));
        *at(self) = start;
        (8.0 * near - far) / (12.0 * f64::from(H))
    }
}

#[track_caller]
fn agree(what: &str, found: f32, expected: f64) {
    let difference = (f64::from(found) - expected).abs();
    assert!(
        difference <= 3e-3 * expected.abs().max(0.05),
        "{what}: gradient {found}, differences {expected}"
    );
}

fn check(taught: bool, dropout: f32) {
    let mut case = Case::new(taught, dropout);
    let (_, saved, noted) = case.step();
    let names: Vec<String> = case.weights.floats.keys().cloned().collect();
    for name in names {
        let moments = saved.floats[&format!("adam.{name}.first")].values.clone();
        for at in (0..moments.len()).step_by((moments.len() / 5).max(1)) {
            let slope = case.slope(|c| &mut c.weights.floats.get_mut(&name).unwrap().values[at]);
            // After one step the first moment is a tenth of the gradient.
            agree(&format!("{name}[{at}]"), moments[at] / 0.1, slope);
        }
    }
    for item in 1..=ITEMS {
        let by_bias = noted.by_bias.get(&(item as u32)).copied().unwrap_or(0.0);
        let slope = case.slope(|c| &mut c.items.biases[item]);
        agree(&format!("bias of {item}"), by_bias, slope);
        for part in [0, 3, 7] {
            let g = noted.by_vector.get(&(item as u32)).map_or(0.0, |g| g[part]);
            let slope = case.slope(|c| &mut c.items.vectors[item * 8 + part]);
            agree(&format!("vector of {item}, {part}"), g, slope);
        }
    }
}

#[test]
fn a_step_on_clicks() {
    check(false, 0.0);
}

#[test]
fn a_step_with_dropout() {
    check(false, 0.3);
}

#[test]
fn a_step_that_follows_a_teacher() {
    check(true, 0.0);
}
