//! What all plots have in common: the sheet with its title, the legend, and colours that can be told apart by everybody.

use std::io;

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::Figure;

/// Width of every plot, in pixels.
pub(super) const WIDTH: u32 = 900;

/// Size of the letters of labels, in pixels; and about how wide one is.
pub(super) const LETTERS: u32 = 13;
const LETTER_WIDTH: f64 = 6.3;

/// What is written and ruled with: the sheet is white whatever is around it.
pub(super) const INK: RGBColor = RGBColor(40, 40, 48);
pub(super) const FAINT: RGBColor = RGBColor(222, 222, 228);
pub(super) const AIM: RGBColor = RGBColor(200, 30, 30);

/// Told apart with every kind of colour sight, and darker than the sheet: blue, orange, green, pink, light blue, brown, grey.
const SERIES: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(140, 86, 60),
    RGBColor(120, 120, 128),
];

/// A sheet, or a part of one.
pub(super) type Sheet<'svg> = DrawingArea<SVGBackend<'svg>, Shift>;

/// Drawing goes to memory, where it can't fail but by a mistake of ours.
pub(super) type Drawn<T = ()> = Result<T, DrawingAreaErrorKind<io::Error>>;

/// The colour of a series, by its place.
pub(super) const fn colour(series: usize) -> RGBColor {
    SERIES[series % SERIES.len()]
}

/// Writing that begins, is centred or ends at its point, and stands in the middle of its line.
pub(super) fn writing(size: u32, colour: RGBColor, from: HPos) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&colour).pos(Pos::new(from, VPos::Center))
}

/// About how wide a label is, in pixels.
pub(super) fn width_of(label: &str) -> u32 {
    (label.chars().count() as f64 * LETTER_WIDTH).ceil() as u32
}

/// The head of a plot: title, and a legend where there is more than one thing to tell apart.
pub(super) struct Head {
    title: String,
    /// Name, colour, and where it begins: line and pixel.
    entries: Vec<(String, RGBColor, i32, i32)>,
    lines: i32,
}

impl Head {
    /// Height of the title, and of each line of the legend.
    const TITLE: i32 = 40;
    const LINE: i32 = 20;

    pub(super) fn of(figure: &Figure) -> Self {
        let several = figure.series.len() > 1;
        let names = figure.series.iter().enumerate().filter(|_| several);
        let mut wanted: Vec<_> = names.map(|(at, series)| (series.name.clone(), colour(at))).collect();
        if figure.series.iter().flat_map(|series| &series.points).any(|point| point.aim.is_some()) {
            wanted.push(("aim: at most".to_owned(), AIM));
        }
        let (mut line, mut left) = (0, 16);
        let mut entries = vec![];
        for (name, colour) in wanted {
            let width = width_of(&name) as i32 + 40;
            if left > 16 && left + width > WIDTH as i32 {
                (line, left) = (line + 1, 16);
            }
            entries.push((name, colour, line, left));
            left += width;
        }
        let lines = entries.last().map_or(0, |(_, _, line, _)| line + 1);
        Self { title: figure.title.clone(), entries, lines }
    }

    /// Pixels that it takes.
    pub(super) const fn height(&self) -> u32 {
        (Self::TITLE + self.lines * Self::LINE) as u32
    }

    /// Draws it on a sheet of its own colour, and returns what is left of that.
    pub(super) fn draw<'svg>(&self, sheet: &Sheet<'svg>) -> Drawn<Sheet<'svg>> {
        sheet.fill(&WHITE)?;
        sheet.draw_text(&self.title, &writing(17, INK, HPos::Left), (16, Self::TITLE / 2))?;
        for (name, colour, line, left) in &self.entries {
            let middle = Self::TITLE + line * Self::LINE + Self::LINE / 2 - 4;
            sheet.draw(&Rectangle::new([(*left, middle - 5), (left + 12, middle + 5)], colour.filled()))?;
            sheet.draw_text(name, &writing(LETTERS, INK, HPos::Left), (left + 18, middle))?;
        }
        Ok(sheet.split_vertically(self.height()).1)
    }
}
