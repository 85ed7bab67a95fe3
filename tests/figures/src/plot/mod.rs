//! A figure as SVG, which browsers and GitHub show: on a white sheet of its own, so that it can be read on dark pages too.
//! The same figure always gives the same bytes.

mod axis;
mod lines;
mod paper;
mod rows;
#[cfg(test)]
mod tests;

use plotters::prelude::*;

use crate::{Figure, Kind};
use paper::{Drawn, Head, WIDTH};

/// Draws a figure: bars with their quarters as whiskers, lines with their quarters as bands, or a row of samples for each
/// series. Aims are red marks at the value that would just reach them.
pub fn plot(figure: &Figure) -> String {
    let mut svg = String::new();
    draw(figure, &mut svg).expect("a drawing in memory does not fail");
    svg
}

fn draw(figure: &Figure, svg: &mut String) -> Drawn {
    let head = Head::of(figure);
    let height = match &figure.kind {
        Kind::Lines { .. } => lines::HEIGHT,
        Kind::Bars | Kind::Distribution => rows::height(figure),
    };
    let sheet = SVGBackend::with_string(svg, (WIDTH, head.height() + height)).into_drawing_area();
    let body = head.draw(&sheet)?;
    match &figure.kind {
        Kind::Lines { x, log_x } => lines::draw(figure, x, *log_x, &body)?,
        Kind::Bars => rows::bars(figure, &body)?,
        Kind::Distribution => rows::strips(figure, &body)?,
    }
    sheet.present()
}
