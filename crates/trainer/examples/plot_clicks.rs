//! Draws what one more click costs by the size of the catalogue, from what `tests/bench/clicks.mjs --json` wrote.
//!
//! ```sh
//! cargo run --release -p onshelf-trainer --example plot_clicks -- build/bench/clicks.json docs/plots/clicks.svg
//! ```

use anyhow::{Context, Result, anyhow};
use plotters::prelude::*;
use serde_json::Value;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next = |name: &str| args.next().with_context(|| format!("{name} is missing: JSON SVG"));
    let (from, to) = (next("JSON")?, next("SVG")?);
    let told: Vec<Value> = serde_json::from_slice(&std::fs::read(&from).context(from)?)?;
    let point = |name: &str| -> Result<Vec<(f64, f64)>> {
        let mut points = told
            .iter()
            .map(|one| Some((one["items"].as_f64()?, one[name]["p50"].as_f64()?)))
            .collect::<Option<Vec<_>>>()
            .with_context(|| format!("no items and {name}.p50 in every entry"))?;
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(points)
    };
    let lines = [("rank, p50", point("rank")?, BLUE), ("learn, p50", point("learn")?, RED)];
    let mut svg = String::new();
    draw(&mut svg, &lines).map_err(|e| anyhow!("{e}"))?;
    std::fs::write(&to, svg).context(to)
}

type Line = (&'static str, Vec<(f64, f64)>, RGBColor);

fn draw(svg: &mut String, lines: &[Line]) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, (960, 540)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption("One more click, by items in the catalogue (Chromium, CPU)", ("sans-serif", 22))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d((5e3..2e6).log_scale(), (0.1..100.0).log_scale())?;
    let number = |x: &f64| format!("{x}");
    chart
        .configure_mesh()
        .x_desc("items")
        .y_desc("milliseconds")
        .x_label_formatter(&number)
        .y_label_formatter(&number)
        .label_style(("sans-serif", 15))
        .draw()?;
    for (name, points, colour) in lines {
        let colour = *colour;
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
        chart.draw_series(points.iter().map(|&at| Circle::new(at, 4, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(BLACK)
        .label_font(("sans-serif", 16))
        .draw()?;
    root.present()?;
    Ok(())
}
