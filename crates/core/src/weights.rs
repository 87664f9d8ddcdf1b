//! Named tensors in CPU memory and their file form, safetensors.
//!
//! Parameters live here, not on the device: a lost GPU, a save to IndexedDB and a delta for
//! sync all need them in plain memory, and a device only ever gets copies.

use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use thiserror::Error;

/// Why tensors could not be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightsError {
    /// Not a safetensors file.
    #[error("weights: not a readable safetensors file ({0}); fetch or export it again")]
    Unreadable(String),
    /// A tensor is missing.
    #[error("weights: tensor {0:?} is missing; export the model version again")]
    Missing(String),
    /// A tensor has another shape or type.
    #[error("weights: tensor {name:?} is {found}, expected {expected}; it was made for another model")]
    Shape {
        /// The tensor.
        name: String,
        /// What it is.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// A value is NaN or infinite.
    #[error("weights: tensor {0:?} holds a value that is not finite; the model version is broken")]
    NotFinite(String),
}

/// One f32 tensor, row-major.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its values; as many as the product of the dimensions.
    pub values: Vec<f32>,
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tensor{:?}", self.shape)
    }
}

impl Tensor {
    /// A tensor of zeros.
    #[must_use]
    pub fn zeros(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), values: vec![0.0; shape.iter().product()] }
    }
}

/// Tensors by name, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// f32 tensors: parameters.
    pub floats: BTreeMap<String, Tensor>,
    /// u8 tensors: codes.
    pub bytes: BTreeMap<String, (Vec<usize>, Vec<u8>)>,
}

impl Weights {
    /// The tensor of that name and shape, checked to be finite.
    ///
    /// # Errors
    /// [`WeightsError`] naming the tensor.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<&Tensor, WeightsError> {
        let tensor = self.floats.get(name).ok_or_else(|| WeightsError::Missing(name.to_owned()))?;
        if tensor.shape != shape {
            return Err(WeightsError::Shape {
                name: name.to_owned(),
                found: format!("f32 {:?}", tensor.shape),
                expected: format!("f32 {shape:?}"),
            });
        }
        if tensor.values.iter().all(|v| v.is_finite()) {
            Ok(tensor)
        } else {
            Err(WeightsError::NotFinite(name.to_owned()))
        }
    }

    /// Number of f32 parameters.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.floats.values().map(|t| t.values.len()).sum()
    }

    /// The safetensors file. The same tensors give the same bytes.
    ///
    /// # Errors
    /// [`WeightsError::Unreadable`] where a shape does not fit its values.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, WeightsError> {
        let unreadable = |e: safetensors::SafeTensorError| WeightsError::Unreadable(e.to_string());
        let floats: Vec<(&String, &Tensor, Vec<u8>)> = self
            .floats
            .iter()
            .map(|(name, t)| (name, t, t.values.iter().flat_map(|v| v.to_le_bytes()).collect()))
            .collect();
        let mut views = Vec::new();
        for (name, tensor, raw) in &floats {
            views.push((*name, TensorView::new(Dtype::F32, tensor.shape.clone(), raw).map_err(unreadable)?));
        }
        for (name, (shape, raw)) in &self.bytes {
            views.push((name, TensorView::new(Dtype::U8, shape.clone(), raw).map_err(unreadable)?));
        }
        safetensors::serialize(views, None).map_err(unreadable)
    }

    /// Reads a safetensors file of F32 and U8 tensors.
    ///
    /// # Errors
    /// [`WeightsError::Unreadable`] for a truncated or foreign file, [`WeightsError::Shape`] for
    /// another number type.
    pub fn from_safetensors(file: &[u8]) -> Result<Self, WeightsError> {
        let read = SafeTensors::deserialize(file).map_err(|e| WeightsError::Unreadable(e.to_string()))?;
        let mut out = Self::default();
        for (name, view) in read.iter() {
            let shape = view.shape().to_vec();
            match view.dtype() {
                Dtype::F32 => {
                    let (chunks, _) = view.data().as_chunks::<4>();
                    let values = chunks.iter().map(|c| f32::from_le_bytes(*c)).collect();
                    out.floats.insert(name.to_owned(), Tensor { shape, values });
                }
                Dtype::U8 => {
                    out.bytes.insert(name.to_owned(), (shape, view.data().to_vec()));
                }
                other => {
                    return Err(WeightsError::Shape {
                        name: name.to_owned(),
                        found: format!("{other:?} {shape:?}"),
                        expected: "F32 or U8".into(),
                    });
                }
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn files_round_trip(values in prop::collection::vec(-1e6f32..1e6, 0..40), codes: Vec<u8>, name in "\\PC{1,20}") {
            let mut w = Weights::default();
            w.floats.insert(name.clone(), Tensor { shape: vec![values.len()], values });
            w.bytes.insert(format!("{name}.codes"), (vec![codes.len(), 1], codes));
            let file = w.to_safetensors().unwrap();
            prop_assert_eq!(&file, &w.to_safetensors().unwrap());
            prop_assert_eq!(Weights::from_safetensors(&file).unwrap(), w);
        }

        #[test]
        fn no_bytes_panic(file: Vec<u8>) {
            let _ = Weights::from_safetensors(&file);
        }

        #[test]
        fn every_truncation_is_refused(cut in 0usize..60) {
            let mut w = Weights::default();
            w.floats.insert("a".into(), Tensor { shape: vec![3], values: vec![1.0, 2.0, 3.0] });
            let file = w.to_safetensors().unwrap();
            let cut = cut.min(file.len() - 1);
            prop_assert!(Weights::from_safetensors(&file[..cut]).is_err());
        }
    }

    #[test]
    fn a_wrong_shape_names_the_tensor() {
        let mut w = Weights::default();
        w.floats.insert("a".into(), Tensor::zeros(&[2, 3]));
        assert!(w.get("a", &[2, 3]).is_ok());
        assert!(w.get("a", &[3, 2]).unwrap_err().to_string().contains("\"a\""));
        assert_eq!(w.get("b", &[1]), Err(WeightsError::Missing("b".into())));
        w.floats.get_mut("a").unwrap().values[1] = f32::NAN;
        assert_eq!(w.get("a", &[2, 3]), Err(WeightsError::NotFinite("a".into())));
    }
}
