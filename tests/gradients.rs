//! The encoder's gradients from autodiff against central finite differences: a few parameters of
//! every tensor, and both inputs. And the gradient by hand of a device's step with elastic weight consolidation.

use burn::tensor::{Device, Tensor, TensorData};
use onshelf_core::rank::CENTROIDS;
use onshelf_core::version::{FineTuneConfig, StudentShape};
use onshelf_core::weights::{self, Weights};
use onshelf_model::encoder::{self, Encoder, REPEAT, SessionBatch};
use onshelf_model::personal::{Lesson, Personal};
use onshelf_model::student::{Compute, FISHER, Student};
use pollster::block_on;

#[path = "support/random.rs"]
mod random;

use random::{Numbers, encoder_weights};

/// Checked parameters of a tensor.
const CHECKED: usize = 6;
/// Large, because float32 keeps about seven digits; the five-point formula below is exact up to
/// the fourth power of it.
const H: f32 = 0.02;

fn shape() -> StudentShape {
    StudentShape {
        dim: 8,
        blocks: 2,
        heads: 2,
        hidden: 12,
        max_len: 6,
        subspaces: 1,
        adapter_rank: 1,
        temperature: 0.1,
        times: true,
    }
}

/// A batch of two sessions, the second padded, and the gradient that comes from above.
struct Case {
    shape: StudentShape,
    weights: Weights,
    batch: SessionBatch,
    items: Vec<f32>,
    noisy: Vec<f32>,
    upstream: Vec<f32>,
}

impl Case {
    fn new() -> Self {
        let shape = shape();
        let mut numbers = Numbers(11);
        let mut weights = encoder_weights(&shape, &mut numbers);
        keep_clear_of_kinks(&mut weights);
        let (sessions, length) = (2, 5);
        let n = sessions * length * shape.dim;
        // The last two clicks of the second session are padding.
        let padded = (sessions * length - 2) * shape.dim;
        let mut items = numbers.many(n, 0.6);
        let mut noisy = numbers.many(n, 0.6);
        let mut upstream = numbers.many(n, 1.0);
        for list in [&mut items, &mut noisy, &mut upstream] {
            list[padded..].fill(0.0);
        }
        let batch = SessionBatch {
            sessions,
            length,
            kinds: vec![0, 1, 2, 3, 4, 5, 0, 2, 0, 0],
            gaps: vec![0, 1, 2, 3, 4, 0, 5, 6, 0, 0],
        };
        Self { shape, weights, batch, items, noisy, upstream }
    }

    fn dims(&self) -> [usize; 3] {
        [self.batch.sessions, self.batch.length, self.shape.dim]
    }

    fn tensor(&self, values: &[f32], device: &Device) -> Tensor<3> {
        Tensor::from_data(TensorData::new(values.to_vec(), self.dims()), device)
    }

    /// The inner product of the session vectors and the upstream gradient.
    fn loss(&self) -> f64 {
        let device = Device::flex();
        let encoder = Encoder::new(&self.weights, &self.shape, &device, false).unwrap();
        let out = encoder.forward(
            self.tensor(&self.items, &device),
            self.tensor(&self.noisy, &device),
            &self.batch,
        );
        let out = out.try_into_vec_as::<f32>().unwrap();
        out.iter().zip(&self.upstream).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }

    /// The derivative of the loss by one number, from four values around it.
    fn slope(&mut self, at: impl Fn(&mut Self) -> &mut f32) -> f64 {
        let start = *at(self);
        let mut value = |steps: f32| {
            *at(self) = start + steps * H;
            self.loss()
        };
        let (near, far) = (value(1.0) - value(-1.0), value(2.0) - value(-2.0));
        *at(self) = start;
        (8.0 * near - far) / (12.0 * f64::from(H))
    }
}

/// Every other unit of the feed-forward layers is on and every other off, all of them by a margin:
/// across the kink of a ReLU differences are no derivative.
fn keep_clear_of_kinks(weights: &mut Weights) {
    for (name, tensor) in &mut weights.floats {
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
}

#[track_caller]
fn agree(what: &str, found: f32, expected: f64) {
    let difference = (f64::from(found) - expected).abs();
    assert!(difference <= 2e-3 * expected.abs().max(0.2), "{what}: autodiff {found}, differences {expected}");
}

/// Some positions of a tensor, spread over it; all of a short one.
fn some(n: usize) -> impl Iterator<Item = usize> {
    (0..CHECKED.min(n)).map(move |k| k * n / CHECKED.min(n) + (k * 7) % (n / CHECKED.min(n)).max(1))
}

#[test]
fn every_parameter_tensor() {
    let mut case = Case::new();
    let device = Device::flex().autodiff();
    let encoder = Encoder::new(&case.weights, &case.shape, &device, true).unwrap();
    let (items, noisy) = (case.tensor(&case.items, &device), case.tensor(&case.noisy, &device));
    let out = encoder.forward(items, noisy, &case.batch);
    let grads = (out * case.tensor(&case.upstream, &device)).sum().backward();
    let gradients = encoder.gradients(&grads);

    let mut named: Vec<&str> = gradients.iter().map(|(name, _)| name.as_str()).collect();
    let all = encoder::tensors(&case.shape);
    // The boost of repeated items is added to scores, behind the encoder.
    let mut expected: Vec<&str> =
        all.iter().map(|(name, _)| name.as_str()).filter(|&n| n != REPEAT).collect();
    named.sort_unstable();
    expected.sort_unstable();
    assert_eq!(named, expected, "every tensor has a gradient");

    for (name, gradient) in gradients {
        let gradient = gradient.try_into_vec_as::<f32>().unwrap();
        assert_eq!(gradient.len(), case.weights.floats[&name].values.len());
        for at in some(gradient.len()) {
            let slope = case.slope(|c| &mut c.weights.floats.get_mut(&name).unwrap().values[at]);
            agree(&format!("{name}[{at}]"), gradient[at], slope);
        }
    }
}

#[test]
fn both_inputs() {
    let mut case = Case::new();
    let device = Device::flex().autodiff();
    let encoder = Encoder::new(&case.weights, &case.shape, &device, true).unwrap();
    let items = case.tensor(&case.items, &device).require_grad();
    let noisy = case.tensor(&case.noisy, &device).require_grad();
    let out = encoder.forward(items.clone(), noisy.clone(), &case.batch);
    let grads = (out * case.tensor(&case.upstream, &device)).sum().backward();
    let by_items = items.grad(&grads).unwrap().try_into_vec_as::<f32>().unwrap();
    let by_noisy = noisy.grad(&grads).unwrap().try_into_vec_as::<f32>().unwrap();
    let clicked = case.items.len() - 2 * case.shape.dim;
    for at in (0..clicked).step_by(5) {
        let slope = case.slope(|c| &mut c.items[at]);
        agree(&format!("items[{at}]"), by_items[at], slope);
        let slope = case.slope(|c| &mut c.noisy[at]);
        agree(&format!("noisy[{at}]"), by_noisy[at], slope);
    }
    // Padding on the right is never looked at.
    assert!(by_items[clicked..].iter().chain(&by_noisy[clicked..]).all(|&g| g == 0.0));
}

#[test]
fn nothing_flows_from_later_clicks_to_earlier_vectors() {
    let mut case = Case::new();
    let dim = case.shape.dim;
    // Only the first two positions of the first session count.
    case.upstream[2 * dim..].fill(0.0);
    let device = Device::flex().autodiff();
    let encoder = Encoder::new(&case.weights, &case.shape, &device, true).unwrap();
    let items = case.tensor(&case.items, &device).require_grad();
    let noisy = case.tensor(&case.noisy, &device).require_grad();
    let out = encoder.forward(items.clone(), noisy.clone(), &case.batch);
    let grads = (out * case.tensor(&case.upstream, &device)).sum().backward();
    for input in [items, noisy] {
        let g = input.grad(&grads).unwrap().try_into_vec_as::<f32>().unwrap();
        assert!(g[..2 * dim].iter().any(|&x| x != 0.0));
        assert!(g[2 * dim..].iter().all(|&x| x == 0.0));
    }
}

/// A student with Fisher information, and what it says of one parameter after the other.
fn informed(numbers: &mut Numbers, compute: &Compute) -> (Student, Vec<f32>) {
    let shape = StudentShape { adapter_rank: 2, ..shape() };
    let mut weights = encoder_weights(&shape, numbers);
    let n = shape.dim * shape.adapter_rank;
    let fisher: Vec<f32> = numbers.many(2 * n, 2.0).iter().map(|x| x.abs()).collect();
    let mut put = |name: &str, shape: Vec<usize>, values: Vec<f32>| {
        weights.floats.insert(name.into(), weights::Tensor { shape, values });
    };
    put("items.centroids", vec![1, CENTROIDS, shape.dim], numbers.many(CENTROIDS * shape.dim, 0.5));
    put("items.bias", vec![CENTROIDS], numbers.many(CENTROIDS, 0.5));
    put("adapter.down", vec![shape.dim, shape.adapter_rank], numbers.many(n, 0.5));
    put("adapter.up", vec![shape.adapter_rank, shape.dim], numbers.many(n, 0.5));
    put(FISHER, vec![2, n], fisher.clone());
    let codes: Vec<u8> = (0..40).map(|at| at as u8).collect();
    weights.bytes.insert("items.codes".into(), (vec![20, 2], codes));
    (Student::new(&weights, &shape, compute).unwrap(), fisher)
}

#[test]
fn elastic_weight_consolidation_on_a_device() {
    for compute in [Compute::Cpu, Compute::Burn(Device::flex())] {
        let mut numbers = Numbers(23);
        let (student, fisher) = informed(&mut numbers, &compute);
        let dim = student.shape().dim;
        let lesson = Lesson::new(&numbers.many(3 * dim, 0.8), &[3, 9, 4], dim).unwrap();
        let config = FineTuneConfig { ewc: 0.7, proximal: 0.3, negatives: 8, ..FineTuneConfig::default() };
        let base = student.base().clone();
        let n = base.down.len();
        let home = [&base.down[..], &base.up, &vec![0.0; dim]].concat();
        let mut start = home.clone();
        start.iter_mut().zip(numbers.many(home.len(), 0.3)).for_each(|(x, by)| *x += by);
        let at = |theta: &[f32]| {
            let mut personal = Personal::new(&student, 4);
            personal.adapter.down = theta[..n].to_vec();
            personal.adapter.up = theta[n..2 * n].to_vec();
            personal.taste = theta[2 * n..].to_vec();
            personal
        };
        let loss = |theta: &[f32]| {
            let fit = block_on(at(theta).loss(&student, &lesson, &config)).unwrap();
            let strength = |at: usize| if at < 2 * n { config.ewc * fisher[at] } else { config.proximal };
            let away = theta.iter().zip(&home).map(|(x, h)| f64::from(x - h).powi(2));
            fit + away.enumerate().map(|(at, a)| 0.5 * f64::from(strength(at)) * a).sum::<f64>()
        };
        let mut personal = at(&start);
        block_on(personal.step(&student, &lesson, None, &config)).unwrap();
        // After one step the first moment is a tenth of the gradient.
        let saved = personal.to_weights();
        let moment = |name: &str| saved.floats[name].values.iter().map(|m| m / 0.1).collect::<Vec<f32>>();
        let gradient =
            [moment("moments.down.first"), moment("moments.up.first"), moment("moments.taste.first")]
                .concat();
        for at in 0..start.len() {
            let value = |steps: f32| {
                let mut theta = start.clone();
                theta[at] += steps * H;
                loss(&theta)
            };
            let (near, far) = (value(1.0) - value(-1.0), value(2.0) - value(-2.0));
            let slope = (8.0 * near - far) / (12.0 * f64::from(H));
            agree(&format!("parameter {at}"), gradient[at], slope);
        }
    }
}
