//! Plots of what something is against how much of something else there is.

use plotters::{prelude::*, style::text_anchor::HPos};

use super::{
    axis::Axis,
    paper::{AIM, Drawn, FAINT, INK, LETTERS, Sheet, colour, writing},
    rows::aimed,
};
use crate::{Figure, Point};

/// Pixels that it takes.
pub(super) const HEIGHT: u32 = 400;

/// A line for each series through its medians, in a band that its quarters bound.
pub(super) fn draw(figure: &Figure, x: &str, log_x: bool, sheet: &Sheet<'_>) -> Drawn {
    let all = || figure.series.iter().flat_map(|series| &series.points);
    let mut values: Vec<f64> = all().flat_map(|point| [point.value.low, point.value.high]).collect();
    values.extend(all().filter_map(aimed));
    let places: Vec<f64> = all().filter_map(|point| point.x).collect();
    let mut chart = ChartBuilder::on(sheet)
        .margin_left(12)
        .margin_right(32)
        .margin_top(8)
        .x_label_area_size(48)
        .y_label_area_size(80)
        .build_cartesian_2d(Axis::of_chosen(&places, log_x), Axis::of_values(&values, figure.log_y))?;
    chart
        .configure_mesh()
        .bold_line_style(FAINT)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .label_style(writing(LETTERS, INK, HPos::Center))
        .axis_desc_style(writing(LETTERS, INK, HPos::Center))
        .x_desc(x)
        .y_desc(figure.unit.as_str())
        .draw()?;
    let area = chart.plotting_area();
    for (at, series) in figure.series.iter().enumerate() {
        let mut points: Vec<(f64, &Point)> =
            series.points.iter().filter_map(|point| Some((point.x?, point))).collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        let lower = points.iter().map(|(x, point)| (*x, point.value.low));
        let upper = points.iter().map(|(x, point)| (*x, point.value.high));
        let band: Vec<_> = lower.chain(upper.rev()).collect();
        area.draw(&Polygon::new(band, colour(at).mix(0.2)))?;
        let line: Vec<_> = points.iter().map(|(x, point)| (*x, point.value.median)).collect();
        area.draw(&PathElement::new(line.clone(), colour(at).stroke_width(2)))?;
        for place in line {
            area.draw(&Circle::new(place, 3, colour(at).filled()))?;
        }
        for (x, aim) in points.iter().filter_map(|(x, point)| Some((*x, aimed(point)?))) {
            let mark = EmptyElement::at((x, aim)) + PathElement::new([(-9, 0), (9, 0)], AIM.stroke_width(3));
            area.draw(&mark)?;
        }
    }
    Ok(())
}
