//! What the server sees, and what it makes of it.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use anyhow::Result;
use onshelf_core::metrics::Summary;
use onshelf_core::privacy::gaussian::noise_multiplier;
use onshelf_core::version::sha256_hex;
use onshelf_model::student::Student;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::central;
use super::period::Period;
use super::reports::{Reports, mean_of};
use super::{DELTA, FederatedOptions};
use crate::progress::Progress;
use crate::sync::gate::gate;
use crate::sync::optimiser::{self, Released};

/// What the server sees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// Nothing: the student stays.
    Frozen,
    /// Nothing either, but the old sessions by which sums are followed are gone through all the same: what of a gain is
    /// theirs, and not the sums'.
    Replay,
    /// The exact sum over so many devices.
    Sum {
        /// Devices of a round.
        shoppers: usize,
    },
    /// The sum with the noise of two aggregators.
    Private {
        /// Devices of a round.
        shoppers: usize,
        /// ε of all of a device's participations: one for each part of the trend.
        epsilon: f64,
    },
    /// All clicks, for the shared trend alone.
    CentralTrend,
    /// All clicks, of all periods up to that one, for a student of its own.
    CentralStudent,
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frozen => write!(f, "nothing (frozen)"),
            Self::Replay => write!(f, "nothing, old sessions again"),
            Self::Sum { shoppers } => write!(f, "exact sums of {shoppers}"),
            Self::Private { shoppers, epsilon } => write!(f, "noised sums of {shoppers}, ε = {epsilon}"),
            Self::CentralTrend => write!(f, "all clicks, for the trend"),
            Self::CentralStudent => write!(f, "all clicks, for a student of its own"),
        }
    }
}

impl Arm {
    /// Frozen first, central ones last; the exact sum for the largest rounds only.
    pub(super) fn all(options: &FederatedOptions) -> Vec<Self> {
        let exact = options.shoppers.iter().max().map(|&shoppers| Self::Sum { shoppers });
        let private = |&shoppers: &usize| {
            options.epsilons.iter().map(move |&epsilon| Self::Private { shoppers, epsilon })
        };
        let trend = options.central_trend.then_some(Self::CentralTrend);
        [Self::Frozen, Self::Replay]
            .into_iter()
            .chain(options.shoppers.iter().flat_map(private))
            .chain(exact)
            .chain(trend)
            .chain((!options.central.is_empty()).then_some(Self::CentralStudent))
            .collect()
    }
}

/// An arm's student on its way through the periods.
pub(super) struct Learner<'a> {
    pub(super) arm: Arm,
    pub(super) student: Student,
    /// Students that were trained centrally, by the newest period that they know.
    pub(super) central: &'a BTreeMap<u32, Rc<central::Whole>>,
    /// The one of the period that was learned last.
    pub(super) whole: Option<Rc<central::Whole>>,
    /// Rounds released, and versions refused by the canary.
    pub(super) rounds: [usize; 2],
    pub(super) seed: u64,
}

/// The reports that were made last, with their period and version: arms that start from the same version
/// share them, and hundreds of megabytes are kept once.
#[derive(Default)]
pub(super) struct Made(Option<((u32, String), Rc<Reports>)>);

impl Made {
    /// The reports of a period's devices to the version that a student is.
    pub(super) fn reports(
        &mut self,
        student: &Student,
        period: &Period,
        seed: u64,
        progress: &dyn Progress,
    ) -> Result<Rc<Reports>> {
        let trend: Vec<u8> =
            student.table().trend().unwrap_or_default().iter().flat_map(|x| x.to_le_bytes()).collect();
        let key = (period.period, sha256_hex(&trend));
        if let Some((_, found)) = self.0.as_ref().filter(|last| last.0 == key) {
            return Ok(found.clone());
        }
        self.0 = None;
        let seed = seed ^ u64::from(period.period) << 32;
        let made = Rc::new(Reports::new(student, period, seed, progress)?);
        self.0 = Some((key, made.clone()));
        Ok(made)
    }
}

impl Learner<'_> {
    /// Learns a period.
    pub(super) fn learn(&mut self, period: &Period, made: &mut Made, progress: &dyn Progress) -> Result<()> {
        let seed = self.seed ^ u64::from(period.period) << 32;
        match self.arm {
            Arm::Frozen => Ok(()),
            Arm::Replay => self.replay(period, made, progress),
            Arm::Sum { shoppers } => self.rounds(period, shoppers, None, made, progress),
            Arm::Private { shoppers, epsilon } => {
                self.rounds(period, shoppers, Some(epsilon), made, progress)
            }
            Arm::CentralTrend => central::trend(&mut self.student, period, seed, progress),
            Arm::CentralStudent => {
                self.whole = self.central.get(&period.period).cloned();
                Ok(())
            }
        }
    }

    /// How well a period is foretold.
    pub(super) fn test(&self, period: &Period) -> Result<Summary> {
        match &self.whole {
            Some(whole) => period.test_anew(&whole.student()?),
            None => period.test(&self.student),
        }
    }

    /// As a round does, of a sum that says nothing.
    fn replay(&mut self, period: &Period, made: &mut Made, progress: &dyn Progress) -> Result<()> {
        let reports = made.reports(&self.student, period, self.seed, progress)?;
        let moved = apply(&mut self.student, period, &reports.silence(), progress)?;
        self.rounds[1] += usize::from(!moved);
        Ok(())
    }

    /// Rounds of disjoint devices, all from one version; what is left over is too few and never released.
    /// Every device takes part in one round for each part of the trend, and its noise is for all of them.
    fn rounds(
        &mut self,
        period: &Period,
        shoppers: usize,
        epsilon: Option<f64>,
        made: &mut Made,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ u64::from(period.period) << 32);
        let mut order: Vec<usize> = (0..period.devices.len()).collect();
        order.shuffle(&mut rng);
        if order.len() < shoppers {
            return Ok(());
        }
        let reports = made.reports(&self.student, period, self.seed, progress)?;
        let times = reports.parts.len() as u32;
        let z = epsilon.map(|epsilon| noise_multiplier(epsilon, DELTA, times)).transpose()?;
        let released = order
            .chunks_exact(shoppers)
            .map(|batch| reports.release(batch, z, &mut rng))
            .collect::<Result<Vec<_>>>()?;
        self.rounds[0] += released.len() * reports.parts.len();
        let moved = apply(&mut self.student, period, &mean_of(&released), progress)?;
        self.rounds[1] += usize::from(!moved);
        Ok(())
    }
}

/// Takes the pass over old sessions that the gate lets through; whether it did.
pub(super) fn apply(
    student: &mut Student,
    period: &Period,
    released: &[Released],
    progress: &dyn Progress,
) -> Result<bool> {
    let candidates = optimiser::trends(student, released, period.old(), 1, progress)?;
    best_of(student, period, candidates)
}

/// Gives the student the trend that the gate lets through, if any; whether there is one.
pub(super) fn best_of(
    student: &mut Student,
    period: &Period,
    candidates: impl IntoIterator<Item = Vec<f32>>,
) -> Result<bool> {
    let (_, trend) = gate(student, candidates, |student, half| period.decide(student, half))?;
    Ok(trend.is_some())
}
