//! Elastic weight consolidation (Kirkpatrick et al., PNAS 2017): parameters that mattered for what
//! was learned before are drawn back to where they were.

use std::collections::{BTreeMap, HashMap};

use onshelf_core::weights::Weights;

/// Squared gradients, added up over some steps: the diagonal of the empirical Fisher information.
#[derive(Clone, Debug, Default)]
pub struct Importance {
    encoder: BTreeMap<String, Vec<f32>>,
    items: HashMap<u32, Vec<f32>>,
    steps: usize,
}

impl Importance {
    pub(super) fn add(&mut self, encoder: &[(String, Vec<f32>)], touched: &[u32], vectors: &[f32]) {
        self.steps += 1;
        for (name, gradient) in encoder {
            let sum = self.encoder.entry(name.clone()).or_insert_with(|| vec![0.0; gradient.len()]);
            sum.iter_mut().zip(gradient).for_each(|(s, g)| *s += g * g);
        }
        let dim = vectors.len() / touched.len().max(1);
        for (item, gradient) in touched.iter().zip(vectors.chunks_exact(dim.max(1))) {
            let sum = self.items.entry(*item).or_insert_with(|| vec![0.0; dim]);
            sum.iter_mut().zip(gradient).for_each(|(s, g)| *s += g * g);
        }
    }
}

/// Where parameters are drawn to, and how strongly.
#[derive(Clone, Debug)]
pub struct Anchor {
    importance: Importance,
    encoder: Weights,
    vectors: Vec<f32>,
    dim: usize,
    scale: f32,
}

impl Anchor {
    /// An anchor at `encoder` and the item `vectors` `[items + 1, dim]`. `strength` is relative: 1 weighs
    /// the mean squared gradient of one step like the gradient of a unit step away.
    #[must_use]
    pub fn new(
        importance: Importance,
        encoder: Weights,
        vectors: Vec<f32>,
        dim: usize,
        strength: f32,
    ) -> Self {
        let scale = strength / importance.steps.max(1) as f32;
        Self { importance, encoder, vectors, dim, scale }
    }

    /// Adds the penalty's gradient to a step's.
    pub(super) fn pull(
        &self,
        now: &Weights,
        encoder: &mut [(String, Vec<f32>)],
        touched: &[u32],
        current: &[f32],
        vectors: &mut [f32],
    ) {
        for (name, gradient) in encoder {
            let (Some(fisher), Some(now), Some(then)) =
                (self.importance.encoder.get(name), now.floats.get(name), self.encoder.floats.get(name))
            else {
                continue;
            };
            for (((g, f), a), b) in gradient.iter_mut().zip(fisher).zip(&now.values).zip(&then.values) {
                *g += self.scale * f * (a - b);
            }
        }
        let dim = self.dim;
        for ((item, gradient), now) in
            touched.iter().zip(vectors.chunks_exact_mut(dim)).zip(current.chunks_exact(dim))
        {
            let Some(fisher) = self.importance.items.get(item) else { continue };
            let then = &self.vectors[*item as usize * dim..(*item as usize + 1) * dim];
            for (((g, f), a), b) in gradient.iter_mut().zip(fisher).zip(now).zip(then) {
                *g += self.scale * f * (a - b);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onshelf_core::weights::Tensor;

    #[test]
    fn the_pull_is_the_gradient_of_the_penalty() {
        let weights = |x: f32| {
            let mut w = Weights::default();
            w.floats.insert("a".into(), Tensor { shape: vec![2], values: vec![x, 1.0] });
            w
        };
        let mut importance = Importance::default();
        importance.add(&[("a".into(), vec![2.0, 0.0])], &[1], &[3.0, 0.0]);
        importance.add(&[("a".into(), vec![0.0, 0.0])], &[2], &[1.0, 1.0]);
        let anchor = Anchor::new(importance, weights(1.0), vec![0.0, 0.0, 1.0, 0.0, 0.0, 1.0], 2, 10.0);
        let mut encoder = [("a".to_owned(), vec![0.5, 0.5])];
        let mut vectors = [0.0, 0.0];
        anchor.pull(&weights(1.5), &mut encoder, &[1], &[0.5, 7.0], &mut vectors);
        // Fisher: (4 + 0) / 2 = 2 and 9 / 2 = 4.5; strength 10; half a unit away.
        assert_eq!(encoder[0].1, [0.5 + 10.0 * 2.0 * 0.5, 0.5]);
        assert_eq!(vectors, [10.0 * 4.5 * -0.5, 0.0]);
    }
}
