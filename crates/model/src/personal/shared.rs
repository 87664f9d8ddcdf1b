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
