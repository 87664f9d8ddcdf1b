//! The part of a personal model that private rounds are about, and what of it was contributed already.
//!
//! [`shared`] alone says which parameters that is. Everything else stays on the device.

use onshelf_core::weights::{Tensor, Weights};

use super::Personal;
use crate::error::ModelError;
use crate::student::{Adapter, Student};

/// Name of the saved tensor.
const CONTRIBUTED: &str = "contributed";

/// The shared parameters in the order in which reports and sums have them: `down` before `up`.
#[must_use]
pub fn shared(adapter: &Adapter) -> Vec<f32> {
    [&adapter.down[..], &adapter.up[..]].concat()
}

impl Personal {
    /// What was learned in the shared parameters since this device contributed last: local - shipped -
    /// contributed, as long as [`shared`].
    #[must_use]
    pub fn delta(&self, student: &Student) -> Vec<f32> {
        let mut delta = shared(&self.adapter);
        delta.iter_mut().zip(shared(student.base())).for_each(|(x, base)| *x -= base);
        // Empty before the first contribution.
        delta.iter_mut().zip(&self.contributed).for_each(|(x, before)| *x -= before);
        delta
    }

    /// Notes that a [`Self::delta`] was contributed, so that the next one goes on from there.
    ///
    /// # Errors
    /// [`ModelError::State`] where it has another length.
    pub fn contribute(&mut self, delta: &[f32]) -> Result<(), ModelError> {
        let wanted = self.adapter.down.len() + self.adapter.up.len();
        if delta.len() != wanted {
            let text = format!("a contribution of {} parameters, {wanted} are shared", delta.len());
            return Err(ModelError::State(text));
        }
        self.contributed.resize(wanted, 0.0);
        self.contributed.iter_mut().zip(delta).for_each(|(x, more)| *x += more);
        Ok(())
    }

    pub(super) fn write_contributed(&self, out: &mut Weights) {
        if !self.contributed.is_empty() {
            let values = self.contributed.clone();
            out.floats.insert(CONTRIBUTED.into(), Tensor { shape: vec![values.len()], values });
        }
    }

    pub(super) fn read_contributed(weights: &Weights, wanted: usize) -> Result<Vec<f32>, ModelError> {
        match weights.floats.contains_key(CONTRIBUTED) {
            true => Ok(weights.get(CONTRIBUTED, &[wanted])?.values.clone()),
            false => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use onshelf_core::rank::CENTROIDS;
    use onshelf_core::version::{FineTuneConfig, StudentShape};
    use pollster::block_on;

    use super::*;
    use crate::encoder;
    use crate::personal::Lesson;
    use crate::student::Compute;

    /// A student whose numbers are small and of no meaning.
    fn student() -> Student {
        let shape = StudentShape {
            dim: 8,
            blocks: 1,
            heads: 2,
            hidden: 16,
            max_len: 10,
            subspaces: 4,
            adapter_rank: 2,
            temperature: 0.2,
            times: true,
        };
        let mut weights = Weights::default();
        let mut put = |name: &str, shape: &[usize]| {
            let count = shape.iter().product::<usize>();
            let values = (0..count).map(|at| ((at * 7 + 3) % 11) as f32 / 20.0 - 0.25).collect();
            weights.floats.insert(name.into(), Tensor { shape: shape.to_vec(), values });
        };
        encoder::tensors(&shape).iter().for_each(|(name, dims)| put(name, dims));
        put("items.centroids", &[4, CENTROIDS, 2]);
        put("items.bias", &[CENTROIDS]);
        put("adapter.down", &[8, 2]);
        put("adapter.up", &[2, 8]);
        let codes = (0..20_u8 * 5).map(|at| at.wrapping_mul(37)).collect();
        weights.bytes.insert("items.codes".into(), (vec![20, 5], codes));
        Student::new(&weights, &shape, &Compute::Cpu).unwrap()
    }

    fn learn(personal: &mut Personal, student: &Student, items: &[u32]) {
        let vectors: Vec<f32> = (0..items.len() * 8).map(|at| ((at % 5) as f32 - 2.0) / 4.0).collect();
        let lesson = Lesson::new(&vectors, items, 8).unwrap();
        let config = FineTuneConfig { learning_rate: 0.02, negatives: 8, ..Default::default() };
        for _ in 0..3 {
            block_on(personal.step(student, &lesson, None, &config)).unwrap();
        }
    }

    fn read(personal: &Personal, student: &Student) -> Personal {
        Personal::from_weights(student, 0, &personal.to_weights(), &personal.facts()).unwrap()
    }

    #[test]
    fn a_delta_begins_where_the_last_contribution_ended() {
        let student = student();
        let mut personal = Personal::new(&student, 1);
        assert!(personal.delta(&student).iter().all(|x| *x == 0.0));
        learn(&mut personal, &student, &[1, 5, 9]);
        let first = personal.delta(&student);
        assert_eq!(first.len(), 32);
        assert!(first.iter().any(|x| *x != 0.0));
        personal.contribute(&first).unwrap();
        assert!(personal.delta(&student).iter().all(|x| x.abs() < 1e-6));
        // It is part of what is saved, and of what a roll-back keeps.
        let mut personal = read(&personal, &student);
        learn(&mut personal, &student, &[2, 7, 3]);
        let second = personal.delta(&student);
        personal.contribute(&second).unwrap();
        let whole: Vec<f32> = first.iter().zip(&second).map(|(a, b)| a + b).collect();
        let moved: Vec<f32> =
            shared(&personal.adapter).iter().zip(shared(student.base())).map(|(a, b)| a - b).collect();
        assert!(whole.iter().zip(&moved).all(|(a, b)| (a - b).abs() < 1e-5));
        for _ in 0..4 {
            personal.judge(&student, 0.0, 9.0);
        }
        assert_eq!(personal.adapter, *student.base(), "rolled back");
        let back = personal.delta(&student);
        assert!(back.iter().zip(&moved).all(|(a, b)| (a + b).abs() < 1e-5), "what was given is taken back");
    }

    #[test]
    fn a_contribution_of_another_length_is_refused() {
        let student = student();
        let mut personal = Personal::new(&student, 1);
        assert!(personal.contribute(&[0.0; 31]).is_err());
        let mut weights = personal.to_weights();
        assert!(!weights.floats.contains_key(CONTRIBUTED), "nothing was contributed");
        weights.floats.insert(CONTRIBUTED.into(), Tensor { shape: vec![3], values: vec![0.0; 3] });
        assert!(Personal::from_weights(&student, 0, &weights, &personal.facts()).is_err());
    }
}
