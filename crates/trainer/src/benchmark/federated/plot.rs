//! What a round's size and ε are worth, as a picture.

use std::collections::BTreeMap;

use anyhow::Result;
use plotters::prelude::{IntoLogRange, SeriesLabelPosition};

use super::{Arm, Federated, Line};
use crate::benchmark::plot::draw;

/// R@20 by shoppers of a round: a line for each ε, and level lines for what stays the same.
pub(super) fn plot(done: &Federated) -> Result<String> {
    let value = |line: &Line| 100.0 * line.mean.recall_20;
    let mut private: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    let mut level: Vec<(String, f64)> = Vec::new();
    for line in &done.lines {
        match line.arm {
            Arm::Private { shoppers, epsilon } => {
                let points = private.entry(format!("noised, ε = {epsilon}")).or_default();
                points.push((shoppers as f64, value(line)));
            }
            _ => level.push((line.arm.to_string(), value(line))),
        }
    }
    let sizes = || private.values().flatten().map(|p| p.0);
    let (first, last) = (sizes().fold(f64::INFINITY, f64::min), sizes().fold(1.0, f64::max));
    let first = if first.is_finite() { first } else { 1.0 };
    let all = || private.values().flatten().map(|p| p.1).chain(level.iter().map(|l| l.1));
    let low = all().fold(f64::INFINITY, f64::min);
    let high = all().fold(f64::NEG_INFINITY, f64::max);
    let room = (high - low).max(0.1) * 0.15;
    let level = level.into_iter().map(|(name, value)| (name, vec![(first, value), (last, value)]));
    draw(
        "Recall@20 after private rounds, %",
        "shoppers of a round",
        (first..last.max(first + 1.0)).log_scale(),
        low - room..high + room,
        &private.clone().into_iter().chain(level).collect::<Vec<_>>(),
        // Above what few shoppers make.
        SeriesLabelPosition::MiddleLeft,
    )
}
