//! Finds what somebody who mistyped a word most likely meant.

/// The candidate nearest to `word`, if it is near enough to be a slip: at most a third of the word changed.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (slips(word, candidate), candidate))
        .filter(|&(slips, _)| slips <= allowed)
        .min_by_key(|&(slips, _)| slips)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be added, left out, replaced or swapped with their neighbour to make `b` of `a`.
fn slips(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_one_for_each_kind_of_slip() {
        for (a, b, expected) in [
            ("weight", "weight", 0),
            ("weigth", "weight", 1),
            ("wieght", "weight", 1),
            ("xdp_mode", "xdp-mode", 1),
            ("adress", "address", 1),
            ("ports", "port", 1),
            ("", "port", 4),
        ] {
            assert_eq!(slips(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn suggests_nothing_for_a_word_that_is_merely_short() {
        assert_eq!(nearest("prot", ["port", "name"]), Some("port"));
        assert_eq!(nearest("color", ["port", "name"]), None);
    }
}
