//! Named tensors in CPU memory and their file form, safetensors.
//!
//! Parameters live here, not on the device: a lost GPU, a save to IndexedDB and a delta for
//! sync all need them in plain memory, and a device only ever gets copies.
//!
//! In memory every parameter is f32; in a file it may take less ([`Packing`]).

use std::collections::BTreeMap;

use half::f16;
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

/// How a parameter is kept in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As it is.
    F32,
    /// In half precision; values beyond its range are refused.
    F16,
    /// A matrix in whole numbers from -127 to 127, each row with a scale of its own in the tensor
    /// `<name>.scale`.
    I8,
}

/// What is added to the name of a matrix of whole numbers to find its scales.
const SCALE: &str = ".scale";

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

    /// The safetensors file, all parameters as they are. The same tensors give the same bytes.
    ///
    /// # Errors
    /// [`WeightsError::Unreadable`] where a shape does not fit its values.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, WeightsError> {
        self.to_packed(|_| Packing::F32)
    }

    /// The safetensors file, each parameter packed as `packing` says of its name. What is read back
    /// is near, not equal: use what was read from then on.
    ///
    /// # Errors
    /// [`WeightsError::Unreadable`] where a shape does not fit its values; [`WeightsError::NotFinite`]
    /// where a value does not fit a smaller type.
    pub fn to_packed(&self, packing: impl Fn(&str) -> Packing) -> Result<Vec<u8>, WeightsError> {
        let unreadable = |e: safetensors::SafeTensorError| WeightsError::Unreadable(e.to_string());
        let mut raw: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (name, t) in &self.floats {
            let f32s = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
            let not_finite = || WeightsError::NotFinite(name.clone());
            match packing(name) {
                Packing::F32 => raw.push((name.clone(), Dtype::F32, t.shape.clone(), f32s(&t.values))),
                Packing::F16 => {
                    let halves: Vec<f16> = t.values.iter().map(|&v| f16::from_f32(v)).collect();
                    if !halves.iter().all(|h| h.is_finite()) {
                        return Err(not_finite());
                    }
                    let bytes = halves.iter().flat_map(|h| h.to_le_bytes()).collect();
                    raw.push((name.clone(), Dtype::F16, t.shape.clone(), bytes));
                }
                Packing::I8 => {
                    if !t.values.iter().all(|v| v.is_finite()) {
                        return Err(not_finite());
                    }
                    let width = t.shape.last().copied().unwrap_or(1).max(1);
                    let (mut bytes, mut scales) = (Vec::with_capacity(t.values.len()), Vec::new());
                    for row in t.values.chunks(width) {
                        let top = row.iter().fold(0.0_f32, |top, v| top.max(v.abs()));
                        let scale = (top / 127.0).max(f32::MIN_POSITIVE);
                        bytes.extend(row.iter().map(|v| (v / scale).round() as i8 as u8));
                        scales.push(scale);
                    }
                    raw.push((name.clone(), Dtype::I8, t.shape.clone(), bytes));
                    raw.push((format!("{name}{SCALE}"), Dtype::F32, vec![scales.len()], f32s(&scales)));
                }
            }
        }
        for (name, (shape, bytes)) in &self.bytes {
            raw.push((name.clone(), Dtype::U8, shape.clone(), bytes.clone()));
        }
        let views = raw
            .iter()
            .map(|(name, kind, shape, bytes)| {
                Ok((name, TensorView::new(*kind, shape.clone(), bytes).map_err(unreadable)?))
            })
            .collect::<Result<Vec<_>, WeightsError>>()?;
        safetensors::serialize(views, None).map_err(unreadable)
    }

    /// The same safetensors file with one tensor of half precision put in, or put in another's place; the
    /// bytes of all others stay as they are.
    ///
    /// # Errors
    /// [`WeightsError::Unreadable`] for a foreign file, [`WeightsError::NotFinite`] for a number beyond half
    /// precision.
    pub fn put_half(file: &[u8], name: &str, tensor: &Tensor) -> Result<Vec<u8>, WeightsError> {
        let unreadable = |e: safetensors::SafeTensorError| WeightsError::Unreadable(e.to_string());
        let read = SafeTensors::deserialize(file).map_err(unreadable)?;
        let halves: Vec<f16> = tensor.values.iter().map(|&v| f16::from_f32(v)).collect();
        if !halves.iter().all(|h| h.is_finite()) {
            return Err(WeightsError::NotFinite(name.to_owned()));
        }
        let bytes: Vec<u8> = halves.iter().flat_map(|h| h.to_le_bytes()).collect();
        let own = TensorView::new(Dtype::F16, tensor.shape.clone(), &bytes).map_err(unreadable)?;
        let others = read.iter().filter(|(other, _)| *other != name);
        let all = others.map(|(name, view)| (name.to_owned(), view)).chain([(name.to_owned(), own)]);
        safetensors::serialize(all, None).map_err(unreadable)
    }

    /// Reads a safetensors file of F32, F16, I8 (with scales) and U8 tensors.
    ///
    /// # Errors
    /// [`WeightsError::Unreadable`] for a truncated or foreign file, [`WeightsError::Shape`] for
    /// another number type, [`WeightsError::Missing`] for whole numbers without scales.
    pub fn from_safetensors(file: &[u8]) -> Result<Self, WeightsError> {
        let read = SafeTensors::deserialize(file).map_err(|e| WeightsError::Unreadable(e.to_string()))?;
        let mut out = Self::default();
        let mut whole: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        for (name, view) in read.iter() {
            let shape = view.shape().to_vec();
            let mut float = |values: Vec<f32>| {
                out.floats.insert(name.to_owned(), Tensor { shape: shape.clone(), values });
            };
            match view.dtype() {
                Dtype::F32 => {
                    float(view.data().as_chunks::<4>().0.iter().map(|c| f32::from_le_bytes(*c)).collect());
                }
                Dtype::F16 => {
                    let halves = view.data().as_chunks::<2>().0.iter();
                    float(halves.map(|c| f16::from_le_bytes(*c).to_f32()).collect());
                }
                Dtype::I8 => whole.push((name.to_owned(), shape, view.data().to_vec())),
                Dtype::U8 => {
                    out.bytes.insert(name.to_owned(), (shape, view.data().to_vec()));
                }
                other => {
                    return Err(WeightsError::Shape {
                        name: name.to_owned(),
                        found: format!("{other:?} {shape:?}"),
                        expected: "F32, F16, I8 or U8".into(),
                    });
                }
            }
        }
        for (name, shape, bytes) in whole {
            let key = format!("{name}{SCALE}");
            let scales = out.floats.remove(&key).ok_or_else(|| WeightsError::Missing(key.clone()))?;
            let width = shape.last().copied().unwrap_or(1).max(1);
            let rows = bytes.len() / width;
            if scales.shape != [rows] {
                return Err(WeightsError::Shape {
                    name: key,
                    found: format!("f32 {:?}", scales.shape),
                    expected: format!("f32 [{rows}]"),
                });
            }
            let rows = bytes.chunks(width).zip(&scales.values);
            let values =
                rows.flat_map(|(row, scale)| row.iter().map(move |&b| f32::from(b as i8) * scale)).collect();
            out.floats.insert(name, Tensor { shape, values });
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

    proptest! {
        #[test]
        fn packed_files_are_near_and_settle(values in prop::collection::vec(-50f32..50.0, 1..40), width in 1usize..9) {
            let rows = values.len() / width;
            let values = values[..rows * width].to_vec();
            let mut w = Weights::default();
            for name in ["half", "whole"] {
                w.floats.insert(name.into(), Tensor { shape: vec![rows, width], values: values.clone() });
            }
            let packing = |name: &str| if name == "half" { Packing::F16 } else { Packing::I8 };
            let read = Weights::from_safetensors(&w.to_packed(packing).unwrap()).unwrap();
            for (name, share) in [("half", 1.0 / 2048.0), ("whole", 0.5 / 126.0)] {
                let got = read.get(name, &[rows, width]).unwrap();
                for (a, b) in got.values.chunks(width).zip(values.chunks(width)) {
                    let top = b.iter().fold(0.0_f32, |t, x| t.max(x.abs()));
                    prop_assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= share * top + 1e-6));
                }
            }
            prop_assert_eq!(read.floats.len(), 2);
            let again = Weights::from_safetensors(&read.to_packed(packing).unwrap()).unwrap();
            for (name, t) in &read.floats {
                let other = again.get(name, &t.shape).unwrap();
                prop_assert!(t.values.iter().zip(&other.values).all(|(a, b)| (a - b).abs() <= 1e-4 * a.abs().max(1.0)));
            }
        }
    }

    #[test]
    fn what_cannot_be_packed_or_unpacked_is_refused() {
        let mut w = Weights::default();
        w.floats.insert("a".into(), Tensor { shape: vec![1, 2], values: vec![1e6, 1.0] });
        assert_eq!(w.to_packed(|_| Packing::F16), Err(WeightsError::NotFinite("a".into())));
        let view = TensorView::new(Dtype::I8, vec![1, 2], &[1, 2]).unwrap();
        let file = safetensors::serialize([("a", view.clone())], None).unwrap();
        assert_eq!(Weights::from_safetensors(&file), Err(WeightsError::Missing("a.scale".into())));
        let scale = TensorView::new(Dtype::F32, vec![2], &[0; 8]).unwrap();
        let file = safetensors::serialize([("a", view), ("a.scale", scale)], None).unwrap();
        assert!(Weights::from_safetensors(&file).unwrap_err().to_string().contains("a.scale"));
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
