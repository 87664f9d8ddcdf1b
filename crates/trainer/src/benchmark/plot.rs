//! What benchmarks draw: lines over an axis, as SVG.

use std::ops::Range;

use anyhow::Result;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

/// A line: its name, and where it goes.
pub(super) type Line = (String, Vec<(f64, f64)>);

/// The picture of some lines, with their names at a place where it covers none of them.
///
/// # Errors
/// Where the plotting library refuses an axis.
pub(super) fn draw<X>(
    title: &str,
    x_name: &str,
    x: X,
    y: Range<f64>,
    lines: &[Line],
    names: SeriesLabelPosition,
) -> Result<String>
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
{
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (960, 540)).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(title, ("sans-serif", 22))
            .margin(16)
            .x_label_area_size(36)
            .y_label_area_size(56)
            .right_y_label_area_size(8)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .x_desc(x_name)
            .label_style(("sans-serif", 14))
            .x_label_formatter(&|x| format!("{x:.0}"))
            .draw()?;
        for (at, (name, points)) in lines.iter().enumerate() {
            let colour = Palette99::pick(at).to_rgba();
            chart
                .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(names)
            .background_style(WHITE.mix(0.9))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 13))
            .draw()?;
        root.present()?;
    }
    Ok(svg)
}
