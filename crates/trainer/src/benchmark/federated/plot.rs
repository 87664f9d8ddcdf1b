//! What a round's size and ε are worth, as a picture.

use std::collections::BTreeMap;

use anyhow::Result;
use plotters::prelude::*;

use super::{Arm, Federated, Line};

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
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (960, 540)).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption("Recall@20 after private rounds, %", ("sans-serif", 22))
            .margin(16)
            .x_label_area_size(36)
            .y_label_area_size(56)
            .build_cartesian_2d((first..last.max(first + 1.0)).log_scale(), low - room..high + room)?;
        chart
            .configure_mesh()
            .x_desc("shoppers of a round")
            .label_style(("sans-serif", 14))
            .x_label_formatter(&|x| format!("{x:.0}"))
            .draw()?;
        let mut draw = |at: usize, name: &str, points: Vec<(f64, f64)>| -> Result<()> {
            let colour = Palette99::pick(at).to_rgba();
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
            Ok(())
        };
        for (at, (name, points)) in private.iter().enumerate() {
            draw(at, name, points.clone())?;
        }
        for (at, (name, value)) in level.iter().enumerate() {
            draw(private.len() + at, name, vec![(first, *value), (last, *value)])?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.9))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 13))
            .draw()?;
        root.present()?;
    }
    Ok(svg)
}
