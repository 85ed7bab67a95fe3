//! What differs between two nodes, from what `siplb digest` said of each. Pure; `siplb diff` shows it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::api::Digest;

/// Something that is not the same on two nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The pool.
    pub pool: String,
    /// `pool`, `table`, `hash-key`, or what the facts are about: `version`, `config`, `state`, `health`, `failback`,
    /// `handover`, `served-by`, `source`.
    pub about: String,
    /// Of what: a setting, a backend, a group; empty where there is only one.
    pub of: String,
    /// At the first node; `-` where it has nothing of the kind.
    pub first: String,
    /// At the second.
    pub second: String,
}

/// What differs between two nodes: pool by pool, the outcome first and then what may be its cause.
pub fn differences(first: &[Digest], second: &[Digest]) -> Vec<Difference> {
    let by_pool = |digests: &[Digest]| -> BTreeMap<String, Digest> {
        digests.iter().map(|digest| (digest.pool.clone(), digest.clone())).collect()
    };
    let (first, second) = (by_pool(first), by_pool(second));
    let pools: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    pools.into_iter().flat_map(|pool| of_pool(pool, first.get(pool), second.get(pool))).collect()
}

fn of_pool(pool: &str, first: Option<&Digest>, second: Option<&Digest>) -> Vec<Difference> {
    let difference = |about: &str, of: &str, first: &str, second: &str| Difference {
        pool: pool.to_owned(),
        about: about.to_owned(),
        of: of.to_owned(),
        first: first.to_owned(),
        second: second.to_owned(),
    };
    let (Some(first), Some(second)) = (first, second) else {
        let there = |digest: Option<&Digest>| if digest.is_some() { "there" } else { "-" };
        return vec![difference("pool", "", there(first), there(second))];
    };
    let mut found = Vec::new();
    if first.digest != second.digest {
        found.push(difference("table", "", &first.digest, &second.digest));
    }
    if first.fingerprint != second.fingerprint {
        found.push(difference("hash-key", "", &first.fingerprint, &second.fingerprint));
    }
    let abouts: BTreeSet<&String> = first.facts.keys().chain(second.facts.keys()).collect();
    let nothing = BTreeMap::new();
    for about in abouts {
        let (here, there) =
            (first.facts.get(about).unwrap_or(&nothing), second.facts.get(about).unwrap_or(&nothing));
        let same_members = here.get("members").is_some_and(|members| there.get("members") == Some(members));
        for of in here.keys().chain(there.keys()).collect::<BTreeSet<_>>() {
            // Nodes that read a source at different times have the same members at different revisions.
            let is_noise = about == "source" && of == "revision" && same_members;
            if here.get(of) != there.get(of) && !is_noise {
                let [here, there] =
                    [here, there].map(|facts| facts.get(of).map_or(unsaid(about), String::as_str));
                found.push(difference(about, of, here, there));
            }
        }
    }
    found
}

/// What it means that a fact is not listed.
fn unsaid(about: &str) -> &'static str {
    match about {
        "health" => "up",
        "state" => "active",
        "failback" => "home",
        "handover" => "none",
        _ => "-",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(pool: &str, facts: &[(&str, &str, &str)]) -> Digest {
        let mut all = BTreeMap::<String, BTreeMap<String, String>>::new();
        for (about, of, is) in facts {
            all.entry((*about).to_owned()).or_default().insert((*of).to_owned(), (*is).to_owned());
        }
        Digest { pool: pool.into(), digest: "1".into(), fingerprint: "k".into(), facts: all }
    }

    fn told(first: &[Digest], second: &[Digest]) -> Vec<String> {
        let found = differences(first, second);
        found
            .iter()
            .map(|it| format!("{} {} {} {} {}", it.pool, it.about, it.of, it.first, it.second))
            .collect()
    }

    #[test]
    fn what_is_the_same_is_not_told() {
        let node = [digest("p", &[("source", "members", "m"), ("source", "revision", "1")])];
        let other = [digest("p", &[("source", "members", "m"), ("source", "revision", "2")])];
        assert!(told(&node, &node).is_empty() && told(&node, &other).is_empty());
    }

    #[test]
    fn outcomes_go_before_causes_and_what_is_not_listed_has_its_meaning() {
        let first =
            digest("p", &[("config", "backend a", "x"), ("version", "siplb", "1"), ("served-by", "a", "a1")]);
        let second = digest(
            "p",
            &[
                ("health", "a1", "down"),
                ("state", "b1", "draining"),
                ("version", "siplb", "2"),
                ("served-by", "a", "a2"),
                ("source", "members", "m"),
                ("source", "revision", "2"),
            ],
        );
        let second = Digest { digest: "2".into(), fingerprint: "l".into(), ..second };
        let expected = [
            "p table  1 2",
            "p hash-key  k l",
            "p config backend a x -",
            "p health a1 up down",
            "p served-by a a1 a2",
            "p source members - m",
            "p source revision - 2",
            "p state b1 active draining",
            "p version siplb 1 2",
        ];
        assert_eq!(told(&[first], &[second]), expected);
    }

    #[test]
    fn a_pool_that_one_lacks_is_told_as_such() {
        assert_eq!(told(&[digest("p", &[])], &[]), ["p pool  there -"]);
    }
}
