//! Numbers that look random and are the same everywhere, without a dependency.

use onshelf_core::version::StudentShape;
use onshelf_core::weights::{Tensor, Weights};
use onshelf_model::encoder;

/// splitmix64 (Steele et al., OOPSLA 2014).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between -1 and 1.
    pub(crate) fn signed(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    pub(crate) fn many(&mut self, n: usize, scale: f32) -> Vec<f32> {
        (0..n).map(|_| self.signed() * scale).collect()
    }
}

/// Encoder parameters of which none is at a special value, so that every gradient shows.
pub(crate) fn encoder_weights(shape: &StudentShape, numbers: &mut Numbers) -> Weights {
    let mut out = Weights::default();
    for (name, dims) in encoder::tensors(shape) {
        let around = if name.contains("norm") { 1.0 } else { 0.0 };
        let values = numbers.many(dims.iter().product(), 0.5).iter().map(|x| x + around).collect();
        out.floats.insert(name, Tensor { shape: dims, values });
    }
    out
}
