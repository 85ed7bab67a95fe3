//! Plots whose values lie along rows: bars by label, and samples by series.

use plotters::{chart::ChartContext, coord::types::RangedCoordf64, prelude::*, style::text_anchor::HPos};

use super::{
    axis::Axis,
    paper::{AIM, Drawn, FAINT, INK, LETTERS, Sheet, colour, width_of, writing},
};
use crate::{Figure, Kind, Point, Spread, table::number};

/// Heights in pixels: a bar, the gap between rows, a row of samples, and what is below the rows.
const BAR: u32 = 15;
const GAP: u32 = 7;
const STRIP: u32 = 46;
const FOOT: u32 = 50;

/// Pixels to the right of the axis.
const MARGIN: u32 = 24;

type Chart<'a, 'svg> = ChartContext<'a, SVGBackend<'svg>, Cartesian2d<Axis, RangedCoordf64>>;

/// Pixels that the rows of a figure take.
pub(super) fn height(figure: &Figure) -> u32 {
    let rows = match figure.kind {
        Kind::Distribution => figure.series.len() as u32 * STRIP,
        _ => groups(figure).iter().map(|(_, bars)| bars.len() as u32 * BAR + GAP).sum(),
    };
    rows + FOOT
}

/// The points of each label, with the place of their series, in the order of the labels' first coming.
fn groups(figure: &Figure) -> Vec<(&str, Vec<(usize, &Point)>)> {
    let mut groups: Vec<(&str, Vec<(usize, &Point)>)> = vec![];
    for (at, series) in figure.series.iter().enumerate() {
        for point in &series.points {
            match groups.iter_mut().find(|(label, _)| *label == point.label) {
                Some((_, points)) => points.push((at, point)),
                None => groups.push((&point.label, vec![(at, point)])),
            }
        }
    }
    groups
}

/// The value that would just reach the aim. One of a ratio is drawn where the value would be whose ratio is the aim.
pub(super) fn aimed(point: &Point) -> Option<f64> {
    let aim = point.aim?;
    match &point.ratio {
        None => Some(aim),
        Some(ratio) => (ratio.median > 0.0).then(|| aim * point.value.median / ratio.median),
    }
}

/// A bar for each point, from the axis to its median, with the quarters as a whisker and the median in figures.
pub(super) fn bars(figure: &Figure, sheet: &Sheet<'_>) -> Drawn {
    let groups = groups(figure);
    let points = || groups.iter().flat_map(|(_, points)| points).map(|(_, point)| *point);
    let mut values: Vec<f64> = points().flat_map(|point| [point.value.median, point.value.high]).collect();
    values.extend(points().filter_map(aimed));
    let labels: Vec<_> = groups.iter().map(|(label, _)| *label).collect();
    let rows = height(figure) - FOOT;
    let mut chart = chart(figure, sheet, Axis::of_values(&values, figure.log_y), rows, &labels)?;
    let mut top = 0;
    for (label, points) in &groups {
        let group_height = points.len() as u32 * BAR + GAP;
        name(&chart, sheet, label, f64::from(top) + f64::from(group_height) / 2.0)?;
        for (at, (series, point)) in points.iter().enumerate() {
            let middle = f64::from(top + GAP / 2 + at as u32 * BAR) + f64::from(BAR) / 2.0;
            bar(&mut chart, colour(*series), point, middle)?;
        }
        top += group_height;
    }
    Ok(())
}

fn bar(chart: &mut Chart<'_, '_>, colour: RGBColor, point: &Point, middle: f64) -> Drawn {
    let half = f64::from(BAR) / 2.0 - 2.0;
    let Spread { median, low, high, .. } = point.value;
    let area = chart.plotting_area();
    // On an axis by order of magnitude, 0 is its left end.
    area.draw(&Rectangle::new([(0.0, middle - half), (median, middle + half)], colour.mix(0.8).filled()))?;
    let whisker = INK.stroke_width(1);
    for [from, to] in [
        [(low, middle), (high, middle)],
        [(low, middle - 3.0), (low, middle + 3.0)],
        [(high, middle - 3.0), (high, middle + 3.0)],
    ] {
        area.draw(&PathElement::new([from, to], whisker))?;
    }
    if let Some(aim) = aimed(point) {
        let mark = [(aim, middle - half - 2.0), (aim, middle + half + 2.0)];
        area.draw(&PathElement::new(mark, AIM.stroke_width(3)))?;
    }
    let (x, y) = area.map_coordinate(&(high.max(median).max(aimed(point).unwrap_or(0.0)), middle));
    let text = writing(LETTERS - 2, INK, HPos::Left);
    let (left, above) = area.get_base_pixel();
    area.strip_coord_spec().draw_text(&number(median), &text, (x + 6 - left, y - above))
}

/// A row for each series: a dot for each sample, moved up and down a little so that equal ones can be told, a line at the
/// median and a box around the quarters.
pub(super) fn strips(figure: &Figure, sheet: &Sheet<'_>) -> Drawn {
    let points = || figure.series.iter().flat_map(|series| &series.points);
    let mut values: Vec<f64> = points().map(|point| point.value.median).collect();
    values.extend(points().filter_map(|point| point.aim));
    let labels: Vec<_> = figure.series.iter().map(|series| series.name.as_str()).collect();
    let rows = height(figure) - FOOT;
    let chart = chart(figure, sheet, Axis::of_values(&values, figure.log_y), rows, &labels)?;
    let area = chart.plotting_area();
    for (at, series) in figure.series.iter().enumerate() {
        let middle = f64::from(at as u32 * STRIP) + f64::from(STRIP) / 2.0;
        name(&chart, sheet, &series.name, middle)?;
        let samples: Vec<f64> = series.points.iter().map(|point| point.value.median).collect();
        if samples.is_empty() {
            continue;
        }
        let Spread { median, low, high, .. } = Spread::of(&samples);
        let quarters = [(low, middle - 16.0), (high, middle + 16.0)];
        area.draw(&Rectangle::new(quarters, colour(at).mix(0.15).filled()))?;
        area.draw(&PathElement::new(
            [(median, middle - 16.0), (median, middle + 16.0)],
            INK.stroke_width(2),
        ))?;
        for (run, sample) in samples.iter().enumerate() {
            // By turns of 5, which spreads neighbours and is the same every time.
            let off = (run % 5) as f64 * 5.0 - 10.0;
            area.draw(&Circle::new((*sample, middle + off), 3, colour(at).mix(0.7).filled()))?;
        }
        if let Some(aim) = series.points.iter().find_map(|point| point.aim) {
            let mark = [(aim, middle - 18.0), (aim, middle + 18.0)];
            area.draw(&PathElement::new(mark, AIM.stroke_width(2)))?;
        }
    }
    Ok(())
}

/// Rows of pixels from the top, beside room for the labels, above an axis with the unit.
fn chart<'a, 'svg>(
    figure: &Figure,
    sheet: &'a Sheet<'svg>,
    axis: Axis,
    rows: u32,
    labels: &[&str],
) -> Drawn<Chart<'a, 'svg>> {
    let room = labels.iter().map(|label| width_of(label)).max().unwrap_or(0) + 26;
    let mut chart = ChartBuilder::on(sheet)
        .margin_right(MARGIN)
        .x_label_area_size(FOOT - 4)
        .y_label_area_size(room.min(super::WIDTH / 2))
        .build_cartesian_2d(axis, f64::from(rows)..0.0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(0)
        .bold_line_style(FAINT)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .x_label_style(writing(LETTERS, INK, HPos::Center))
        .axis_desc_style(writing(LETTERS, INK, HPos::Center))
        .x_desc(figure.unit.as_str())
        .draw()?;
    Ok(chart)
}

/// Writes a row's label left of the axis.
fn name(chart: &Chart<'_, '_>, sheet: &Sheet<'_>, label: &str, middle: f64) -> Drawn {
    let area = chart.plotting_area();
    let (_, y) = area.map_coordinate(&(0.0, middle));
    let (left, _) = area.get_base_pixel();
    let (sheet_left, above) = sheet.get_base_pixel();
    sheet.draw_text(label, &writing(LETTERS, INK, HPos::Right), (left - sheet_left - 8, y - above))
}
