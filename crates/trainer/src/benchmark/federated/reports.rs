//! Reports of a period's devices, and their sums as a collector would see them: without shares and proofs,
//! which change no sum.

use anyhow::{Result, ensure};
use onshelf_core::part::Part;
use onshelf_core::privacy::encode::Encoding;
use onshelf_core::privacy::rotate::Seed;
use onshelf_model::shared::Scratch;
use onshelf_model::student::Student;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::period::{Period, norm};
use crate::progress::Progress;
use crate::sync::judge::Read;
use crate::sync::optimiser::{Released, contribution};

/// Bits of a value of a report.
const BITS: u32 = 4;

/// The reports of all devices of a period to all parts, made from one version.
#[derive(Clone)]
pub(super) struct Reports {
    pub(super) parts: Vec<Part>,
    encodings: Vec<Encoding>,
    /// By device: the reports to all parts, one behind the other.
    pub(super) values: Vec<Vec<u8>>,
}

/// The parts that anybody can contribute to, with the clip norm of each: the median of what public sessions would contribute.
fn clips(public: &[Vec<f32>], student: &Student) -> Result<Vec<(Part, f64)>> {
    let mut out = Vec::new();
    for part in Part::all(student.shape())? {
        let range = part.range(student.shape())?;
        let mut norms: Vec<f64> = public.iter().map(|c| norm(&c[range.clone()])).collect();
        norms.sort_by(f64::total_cmp);
        let clip = norms.get(norms.len() / 2).copied().filter(|n| *n > 0.0);
        out.extend(clip.map(|clip| (part, clip)));
    }
    ensure!(!out.is_empty(), "no session has anything to contribute");
    Ok(out)
}

impl Reports {
    pub(super) fn new(
        student: &Student,
        period: &Period,
        seed: u64,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let public = period.public(student)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let clips = clips(&public, student)?;
        let parts: Vec<Part> = clips.iter().map(|(part, _)| *part).collect();
        let encodings = clips
            .iter()
            .map(|&(part, clip)| {
                Ok(Encoding::new(part.range(student.shape())?.len(), BITS, clip, Seed(rng.random()))?)
            })
            .collect::<Result<Vec<Encoding>>>()?;
        progress
            .start(&format!("what period {} contributes", period.period), Some(period.devices.len() as u64));
        let first = rng.next_u64();
        let report = |(at, read): (usize, &Read)| {
            let mut own = ChaCha8Rng::seed_from_u64(first ^ at as u64);
            let contribution = contribution(student, read, &mut Scratch::default())?;
            progress.advance(1);
            encode(&contribution, &parts, &encodings, student, &mut own)
        };
        let values = period.devices.par_iter().enumerate().map(report).collect::<Result<_>>()?;
        progress.finish("");
        Ok(Self { parts, encodings, values })
    }

    /// What an aggregator pair releases of a batch: one mean a part. `z` is each aggregator's noise
    /// multiplier, `None` for the exact sum.
    pub(super) fn release(
        &self,
        batch: &[usize],
        z: Option<f64>,
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<Released>> {
        let mut start = 0;
        let mut out = Vec::with_capacity(self.parts.len());
        for (part, encoding) in self.parts.iter().zip(&self.encodings) {
            let own = start..start + encoding.length();
            start = own.end;
            let mut sum = vec![0_i128; encoding.length()];
            for &device in batch {
                let report = &self.values[device][own.clone()];
                sum.iter_mut().zip(report).for_each(|(s, v)| *s += i128::from(*v));
            }
            // A deviation of hundreds of steps: a rounded normal is the discrete one to all that is
            // measured here.
            let deviation = z.unwrap_or(0.0) * encoding.sensitivity();
            for value in sum.iter_mut() {
                for _aggregator in 0..2 {
                    *value += (deviation * rng.sample::<f64, _>(StandardNormal)).round() as i128;
                }
            }
            out.push(Released {
                part: *part,
                mean: encoding.decode_mean(&sum, batch.len() as u64)?,
                noise: std::f64::consts::SQRT_2 * deviation * encoding.step() / batch.len() as f64,
                clip: encoding.clip(),
            });
        }
        Ok(out)
    }

    /// What is left of a sum whose noise is boundless.
    pub(super) fn silence(&self) -> Vec<Released> {
        let of = |(part, encoding): (&Part, &Encoding)| Released {
            part: *part,
            mean: vec![0.0; encoding.length().min(encoding.dimension())],
            noise: f64::INFINITY,
            clip: encoding.clip(),
        };
        self.parts.iter().zip(&self.encodings).map(of).collect()
    }

    /// Clip norm and encoding of a part, for those who forge reports to it.
    pub(super) fn encoding(&self, part: usize) -> &Encoding {
        &self.encodings[part]
    }
}

/// The reports of one device to all parts.
fn encode(
    contribution: &[f32],
    parts: &[Part],
    encodings: &[Encoding],
    student: &Student,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for (part, encoding) in parts.iter().zip(encodings) {
        out.extend(encode_part(&contribution[part.range(student.shape())?], encoding, rng)?);
    }
    Ok(out)
}

/// The report to one part.
pub(super) fn encode_part(own: &[f32], encoding: &Encoding, rng: &mut ChaCha8Rng) -> Result<Vec<u8>> {
    let report = encoding.encode(own, &mut || rng.next_u32())?;
    Ok(report.into_iter().map(|v| v as u8).collect())
}

/// The mean of what several batches of a period released: all rounds that start from one version.
pub(super) fn mean_of(rounds: &[Vec<Released>]) -> Vec<Released> {
    let Some(first) = rounds.first() else { return Vec::new() };
    let share = 1.0 / rounds.len() as f32;
    let of = |at: usize| {
        let mut one = Released { mean: vec![0.0; first[at].mean.len()], ..first[at].clone() };
        for round in rounds {
            onshelf_core::slices::add_scaled(&mut one.mean, share, &round[at].mean);
        }
        one.noise /= (rounds.len() as f64).sqrt();
        one
    };
    (0..first.len()).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports of 400 devices with 64 values each, of which eight carry something.
    fn reports() -> (Reports, Vec<f32>) {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let encoding = Encoding::new(64, BITS, 1.0, Seed(rng.random())).unwrap();
        let mut wanted = vec![0.0; 64];
        let values = (0..400)
            .map(|_| {
                let delta: Vec<f32> = (0..64)
                    .map(|at| if at < 8 { 0.2 } else { 0.05 * rng.sample::<f32, _>(StandardNormal) })
                    .collect();
                onshelf_core::slices::add_scaled(&mut wanted, 1.0 / 400.0, &delta);
                let report = encoding.encode(&delta, &mut || rng.next_u32()).unwrap();
                report.into_iter().map(|v| v as u8).collect()
            })
            .collect();
        let parts = vec![Part { first: 0, count: 1 }];
        (Reports { parts, encodings: vec![encoding], values }, wanted)
    }

    #[test]
    fn a_release_is_the_clipped_mean_but_for_its_noise() {
        let (reports, wanted) = reports();
        let all: Vec<usize> = (0..400).collect();
        let off = |z: Option<f64>, seed: u64| {
            let one = reports.release(&all, z, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap().remove(0);
            let off: Vec<f32> = one.mean.iter().zip(&wanted).map(|(f, w)| f - w).collect();
            (norm(&off), one.noise)
        };
        assert!(off(None, 1).0 < 0.02, "{}", off(None, 1).0);
        assert_eq!(off(None, 1).1, 0.0);
        for z in [4.0, 16.0] {
            let (error, told) = off(Some(z), 7);
            // Two aggregators' noise on 64 values over 400 reports of norm up to 1 (1.02 with rounding).
            let expected = (2.0_f64 * 64.0).sqrt() * z / 400.0;
            assert!((0.7..1.4).contains(&(error / expected)), "{}", error / expected);
            assert!((0.9..1.1).contains(&(told * 8.0 / expected)), "{}", told * 8.0 / expected);
        }
    }

    #[test]
    fn rounds_of_one_version_are_averaged() {
        let (reports, _) = reports();
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let batches: Vec<Vec<usize>> = (0..4).map(|b| (b * 100..(b + 1) * 100).collect()).collect();
        let rounds: Vec<Vec<Released>> =
            batches.iter().map(|b| reports.release(b, Some(1.0), &mut rng).unwrap()).collect();
        let mean = mean_of(&rounds).remove(0);
        let expected = rounds.iter().map(|r| r[0].mean[0]).sum::<f32>() / 4.0;
        assert!((mean.mean[0] - expected).abs() < 1e-6);
        assert!((mean.noise - rounds[0][0].noise / 2.0).abs() < 1e-12);
        assert!(mean_of(&[]).is_empty());
    }
}
