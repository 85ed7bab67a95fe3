//! What a benchmark of siplb finds, in one form, whichever benchmark it is.
//!
//! A benchmark (`tests/benches`) measures in rounds, makes [`Spread`]s of its samples and a [`Report`] of those, prints it and
//! saves it as JSON. `cargo xtask bench document` reads the JSON again. Figures are for reading: nothing here passes or
//! fails by how fast something was, and the same JSON always gives the same tables.

mod arguments;
mod document;
mod machine;
mod plot;
mod progress;
mod report;
mod spread;
mod table;

pub use arguments::Arguments;
pub use document::{document, plot_file};
pub use machine::{Machine, commit, date};
pub use plot::plot;
pub use progress::progress;
pub use report::{Error, Figure, Kind, Point, Report, Series};
pub use spread::Spread;
