//! docs/config.md has a row for every key that the code reads, and for no other.

use std::collections::BTreeSet;

use super::*;

const DOCUMENT: &str = include_str!("../../../../docs/config.md");

/// The first words of the rows of each table below a heading.
fn tables(heading: &str) -> Vec<BTreeSet<&'static str>> {
    let section = DOCUMENT.split("\n## ").find(|section| section.starts_with(heading));
    let section = section.unwrap_or_else(|| panic!("docs/config.md has no section {heading}"));
    let key = |row: &'static str| row.strip_prefix("| `")?.split('`').next();
    let rows: Vec<&str> = section.lines().collect();
    rows.split(|row| !row.starts_with('|'))
        .map(|table| table.iter().filter_map(|row| key(row)).collect::<BTreeSet<_>>())
        .filter(|keys| !keys.is_empty())
        .collect()
}

/// The keys that the code knows in the section with this line in it, sections of their own excepted.
fn known(lines: &Lines) -> BTreeSet<String> {
    let refusal = lines.refusal();
    let (_, keys) = refusal.split_once("colour: unknown key; known here: ").expect("an unknown key is told");
    let keys = keys.lines().next().unwrap_or_default().split(", ");
    keys.filter(|key| !["health", "backend", "source"].contains(key)).map(str::to_owned).collect()
}

#[test]
fn every_key_has_a_row_and_every_row_a_key() {
    const LINE: &str = "colour = 1";
    let default = Lines::default;
    let cases = [
        ("`[node]`", 0, Lines { node: LINE, ..default() }),
        ("`[metrics]`", 0, Lines { after: "[metrics]\ncolour = 1", ..default() }),
        ("`[health]`", 0, Lines { health: LINE, ..default() }),
        ("`[[vip]]`", 0, Lines { vip: LINE, ..default() }),
        ("`[[vip]]`", 1, Lines { vip: "keep-alives = { colour = 1 }", ..default() }),
        ("`[[pool]]`", 0, Lines { pool: LINE, ..default() }),
        ("`[[pool.backend]]`", 0, Lines { backend: LINE, ..default() }),
        ("`[pool.source]`", 0, Lines { after: "[pool.source]\ncolour = 1", ..default() }),
        ("`[handover]`", 0, Lines { after: "[handover]\ncolour = 1", ..default() }),
        ("`[limits]`", 0, Lines { after: "[limits]\ncolour = 1", ..default() }),
    ];
    for (heading, table, lines) in cases {
        let rows: BTreeSet<String> = tables(heading)[table].iter().map(|key| (*key).to_owned()).collect();
        assert_eq!(rows, known(&lines), "{heading}");
    }
}
