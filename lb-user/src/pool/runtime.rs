//! What was done at run time and is in force: since when, in words, and how to go back to what the file says.
//!
//! Called by the daemon, which stamps each change and tells what wins over the file on reload, and by `siplb status`. The
//! rule itself is carried out in [`super::desired`].

use std::collections::BTreeMap;

use super::changes::{Added, Changes, Named};
use super::{Desired, Refusal, State};
use crate::config::{Config, Pool};

/// One thing that was done at run time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InForce<'a> {
    /// The pool.
    pub pool: &'a str,
    /// The backend, or for a weight the group.
    pub name: &'a str,
    /// What was done to it.
    pub what: What<'a>,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What<'a> {
    /// The file doesn't have it.
    Added(&'a Added),
    /// The file has it, and it is not wanted.
    Removed,
    /// It is not active.
    State(State),
    /// The group has another weight than the file's.
    Weight(u32),
}

impl InForce<'_> {
    /// By which [`Changes::since`] knows it.
    pub fn key(&self) -> String {
        format!("{}/{}/{}", self.pool, self.kind(), self.name)
    }

    /// `added`, `removed`, `state` or `weight`.
    pub fn kind(&self) -> &'static str {
        match self.what {
            What::Added(_) => "added",
            What::Removed => "removed",
            What::State(_) => "state",
            What::Weight(_) => "weight",
        }
    }

    /// What holds, in a word or two.
    pub fn value(&self) -> String {
        match self.what {
            What::Added(added) => std::net::SocketAddr::new(added.address, added.port).to_string(),
            What::Removed => "removed".to_owned(),
            What::State(state) => state.to_string(),
            What::Weight(weight) => weight.to_string(),
        }
    }

    /// What would hold without it; nothing where the file doesn't say.
    pub fn by_file(&self, file: &Config) -> Option<String> {
        let backend = || file.pool(self.pool)?.backends.iter().find(|backend| backend.name == self.name);
        match self.what {
            What::Added(_) => None,
            What::Removed => backend().map(|backend| backend.socket().to_string()),
            What::State(_) => backend().map(|_| State::Active.to_string()),
            What::Weight(_) => weight(file.pool(self.pool)?, self.name).map(|weight| weight.to_string()),
        }
    }

    /// That it goes before the file, as a sentence.
    pub fn sentence(&self, file: &Config) -> String {
        let Self { pool, name, .. } = self;
        match self.what {
            What::Added(_) => format!("{name} of {pool} stays: added at run time, the file doesn't have it"),
            What::Removed => format!("{name} of {pool} stays removed: done at run time, the file has it"),
            What::State(state) => format!("{name} of {pool} stays {state}: done at run time"),
            What::Weight(weight) => match self.by_file(file) {
                Some(stated) => {
                    format!(
                        "group {name} of {pool} keeps weight {weight}: set at run time, the file says {stated}"
                    )
                }
                None => format!("group {name} of {pool} keeps weight {weight}: set at run time"),
            },
        }
    }
}

/// The weight that the file gives a group.
fn weight(pool: &Pool, group: &str) -> Option<u32> {
    pool.backends.iter().find(|backend| backend.group == group).map(|backend| backend.weight)
}

impl Changes {
    /// All that is in force, pool by pool.
    pub fn in_force(&self) -> impl Iterator<Item = InForce<'_>> {
        self.pools.iter().flat_map(|(pool, changes)| {
            let of = move |name, what| InForce { pool, name, what };
            let added = changes.added.iter().map(move |(name, added)| of(name, What::Added(added)));
            let removed = changes.removed.iter().map(move |name| of(name, What::Removed));
            let states = changes.states.iter().map(move |(name, state)| of(name, What::State(*state)));
            let weights = changes.weights.iter().map(move |(name, weight)| of(name, What::Weight(*weight)));
            added.chain(removed).chain(states).chain(weights)
        })
    }

    /// Notes that what differs from `before` is in force since `now`, in seconds of Unix time.
    pub fn stamp(&mut self, before: &Self, now: u64) {
        let known: BTreeMap<String, InForce<'_>> = before.in_force().map(|it| (it.key(), it)).collect();
        let since = |it: InForce<'_>| {
            let key = it.key();
            let is_as_before = known.get(&key).is_some_and(|before| *before == it);
            let stamped = before.since.get(&key).filter(|_| is_as_before);
            let since = stamped.copied().unwrap_or(now);
            (key, since)
        };
        self.since = self.in_force().map(since).collect();
    }

    /// Goes back to what the file says of a backend and of the weight of its group; says what that is.
    pub(super) fn reset(
        &mut self,
        file: &Config,
        present: &Desired,
        named: &Named,
    ) -> Result<String, Refusal> {
        let (pool, name) = match named.find_in(file) {
            Err(Refusal::NoBackend(_)) => {
                let (pool, name) = named.find(present)?;
                return Err(Refusal::NotInFile { pool, name });
            }
            found => found?,
        };
        let stated = file.pool(&pool).and_then(|pool| pool.backends.iter().find(|known| known.name == name));
        let backend = stated.expect("a backend that was found");
        let before = self.pools.get(&pool).cloned().unwrap_or_default();
        let changes = self.pool(&pool);
        let was_removed = changes.removed.remove(&name);
        let was = (was_removed, changes.states.remove(&name), changes.weights.remove(&backend.group));
        if was == (false, None, None) {
            return Ok(format!("{name} of {pool} is as the file says already"));
        }
        let mut left = self.clone();
        Desired::new(file, &mut left);
        let left = left.pools.remove(&pool).unwrap_or_default().added;
        let others: Vec<String> = before.added.into_keys().filter(|name| !left.contains_key(name)).collect();
        if !others.is_empty() {
            return Err(Refusal::Displaces { pool, name, others });
        }
        let (group, weight) = (&backend.group, backend.weight);
        Ok(format!("{name} of {pool} is as the file says again: active, group {group} weighs {weight}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::pool::Change;
    use crate::pool::fixture::{addition, named};

    fn file(weight: u32) -> Config {
        let text = format!(
            "[node]\ninterfaces = [\"eth0\"]\nhash-key = \"hex:{}\"\n[[vip]]\naddress = \"192.0.2.10\"\npool = \"p\"\n\
             [[pool]]\nname = \"p\"\nbackend = [{{ name = \"a1\", address = \"10.0.0.1\", weight = {weight} }}, \
             {{ name = \"b1\", address = \"10.0.0.2\" }}]\n",
            "0".repeat(32)
        );
        config::parse(&text, "siplb.toml").unwrap()
    }

    fn with(changes: &Changes, change: &Change) -> (Changes, String) {
        changes.with(&file(100), change).unwrap()
    }

    #[test]
    fn each_change_is_in_force_since_it_was_made() {
        let mut one = with(&Changes::default(), &Change::State(named("a1"), State::Draining)).0;
        one.stamp(&Changes::default(), 10);
        let mut two = with(&one, &Change::Weight(named("a1"), 300)).0;
        two.stamp(&one, 20);
        assert_eq!(two.since, [("p/state/a1".to_owned(), 10), ("p/weight/a1".to_owned(), 20)].into());
        let mut three = with(&two, &Change::State(named("a1"), State::Maintenance)).0;
        three.stamp(&two, 30);
        assert_eq!(three.since["p/state/a1"], 30);
        let mut none = with(&three, &Change::Reset(named("a1"))).0;
        none.stamp(&three, 40);
        assert_eq!(none, Changes::default());
    }

    #[test]
    fn a_reset_goes_back_to_the_file() {
        let mut changes = Changes::default();
        for change in [
            Change::State(named("a1"), State::Draining),
            Change::Weight(named("a1"), 300),
            Change::Remove(named("b1")),
        ] {
            changes = with(&changes, &change).0;
        }
        let (changes, done) = with(&changes, &Change::Reset(named("a1")));
        assert_eq!(done, "a1 of p is as the file says again: active, group a1 weighs 100");
        assert_eq!(changes.in_force().map(|it| it.key()).collect::<Vec<_>>(), ["p/removed/b1"]);
        let (changes, _) = with(&changes, &Change::Reset(named("b1")));
        assert_eq!(changes, Changes::default());
        assert_eq!(with(&changes, &Change::Reset(named("b1"))).1, "b1 of p is as the file says already");
    }

    #[test]
    fn a_reset_is_refused_where_the_file_says_nothing_or_something_else_took_the_place() {
        let refused = |changes: &Changes, name| {
            let refusal = changes.with(&file(100), &Change::Reset(named(name))).unwrap_err();
            format!("{refusal}; {}", refusal.mend())
        };
        let added = with(&Changes::default(), &addition("c1", "10.0.0.3")).0;
        assert_eq!(
            refused(&added, "c1"),
            "the file says nothing of c1 of p: it was added at run time; \
             `siplb backend remove c1` takes it out, `siplb backend ready c1` makes it active"
        );
        assert!(refused(&added, "x").starts_with("there is no backend \"x\""));
        let replaced =
            with(&with(&Changes::default(), &Change::Remove(named("b1"))).0, &addition("b9", "10.0.0.2")).0;
        assert_eq!(
            refused(&replaced, "b1"),
            "b1 of p can't come back beside b9, added at run time; `siplb backend remove b9` first"
        );
    }

    #[test]
    fn a_weight_goes_before_the_file_until_the_file_says_the_same() {
        let mut changes = with(&Changes::default(), &Change::Weight(named("a1"), 300)).0;
        let (desired, notes) = Desired::new(&file(200), &mut changes);
        assert_eq!((desired.backend("p", "a1").unwrap().weight, notes.len()), (300, 0));
        let told: Vec<String> = changes.in_force().map(|it| it.sentence(&file(200))).collect();
        assert_eq!(told, ["group a1 of p keeps weight 300: set at run time, the file says 200"]);
        let (desired, notes) = Desired::new(&file(300), &mut changes);
        assert_eq!(desired.backend("p", "a1").unwrap().weight, 300);
        assert_eq!(
            notes,
            ["the weight 300 of group a1 of p is what the file says now: it goes by the file again"]
        );
        assert_eq!(changes, Changes::default());
        assert_eq!(
            with(&with(&changes, &Change::Weight(named("a1"), 300)).0, &Change::Weight(named("a1"), 100)).0,
            changes
        );
    }
}
