//! The tiny student of `student.json`.

use std::collections::BTreeMap;

use onshelf_core::version::StudentShape;
use onshelf_core::weights::{Tensor, Weights};
use serde::Deserialize;

use crate::support::golden;

#[derive(Deserialize)]
pub(crate) struct Flat {
    shape: Vec<usize>,
    values: Vec<f32>,
}

#[derive(Deserialize)]
pub(crate) struct Session {
    pub(crate) items: Vec<u32>,
    pub(crate) kinds: Vec<u8>,
    pub(crate) gaps: Vec<u8>,
    pub(crate) vectors: Vec<Vec<f32>>,
    pub(crate) taste: Vec<f32>,
    pub(crate) query: Vec<f32>,
    pub(crate) query_with_taste: Vec<f32>,
    pub(crate) scores: Vec<f32>,
    pub(crate) best: Vec<u32>,
    pub(crate) allowed: Vec<u32>,
    pub(crate) best_allowed: Vec<u32>,
}

#[derive(Deserialize)]
pub(crate) struct StudentFile {
    pub(crate) shape: StudentShape,
    pub(crate) codes: Vec<Vec<u8>>,
    pub(crate) sessions: Vec<Session>,
    tensors: BTreeMap<String, Flat>,
}

impl StudentFile {
    pub(crate) fn read() -> Self {
        golden("student.json")
    }

    /// The tensors, with codes of one's own.
    pub(crate) fn weights(&self, codes: &[Vec<u8>]) -> Weights {
        let mut out = Weights::default();
        for (name, t) in &self.tensors {
            out.floats.insert(name.clone(), Tensor { shape: t.shape.clone(), values: t.values.clone() });
        }
        let row = self.shape.subspaces + 1;
        out.bytes.insert("items.codes".into(), (vec![codes.len(), row], codes.concat()));
        out
    }
}
