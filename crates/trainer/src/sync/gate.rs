//! From some trends to the one that may serve: one half of the deciding sessions chooses, the other judges.

use anyhow::Result;
use onshelf_model::student::Student;

use super::canary::{Click, Verdict, verdict};

/// Which half of the deciding sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The one that chooses.
    Chooses,
    /// The one that judges.
    Judges,
}

/// Chooses among trends, and judges the choice. The first half takes the one that gains most, of those that pass
/// [`verdict`] on it: what is worse in a segment there would be so on the second half, and refused. The student has the
/// trend that passed afterwards, or else the one it had. `clicks` foretells a half.
///
/// # Errors
/// Where a trend does not fit, or as `clicks`.
pub fn gate(
    student: &mut Student,
    trends: impl IntoIterator<Item = Vec<f32>>,
    clicks: impl Fn(&Student, Half) -> Result<Vec<Click>>,
) -> Result<(Verdict, Option<Vec<f32>>)> {
    let start = student.table().trend().map(<[f32]>::to_vec);
    let before = [clicks(student, Half::Chooses)?, clicks(student, Half::Judges)?];
    let gain = |found: &Verdict| found.differences.first().map_or(f64::NEG_INFINITY, |all| all.gain);
    let mut best: Option<(Verdict, Vec<f32>)> = None;
    for trend in trends {
        student.set_trend(trend.clone())?;
        let found = verdict(&before[0], &clicks(student, Half::Chooses)?);
        let better =
            |(other, _): &(Verdict, _)| (found.passes(), gain(&found)) > (other.passes(), gain(other));
        if best.as_ref().is_none_or(better) {
            best = Some((found, trend));
        }
    }
    let (judged, trend) = match best {
        Some((found, trend)) if found.passes() => {
            student.set_trend(trend.clone())?;
            (verdict(&before[1], &clicks(student, Half::Judges)?), Some(trend))
        }
        Some((mut found, _)) => {
            let first = "no step along the sum passes on the sessions that choose".to_owned();
            found.reasons.insert(0, first);
            (found, None)
        }
        None => (Verdict { differences: Vec::new(), reasons: vec!["no step to judge".to_owned()] }, None),
    };
    let trend = trend.filter(|_| judged.passes());
    if trend.is_none() {
        student.set_trend(start.unwrap_or_else(|| vec![0.0; student.table().trend_len()]))?;
    }
    Ok((judged, trend))
}
