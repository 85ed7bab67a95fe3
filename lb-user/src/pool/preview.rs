//! What a change would do, as `siplb plan` shows it: [`super::moves`] in words and percent, and what to beware of.
//!
//! Called by the daemon with what is live and what would be, and by the command line with two files. Pure.

use lb_common::slot::SLOTS;
use serde::{Deserialize, Serialize};

use super::moves::{Load, Move, Place, PoolMoves, moves};
use super::{Desired, Plan, PoolPlan, State};
use crate::config::OnGroupDown;

/// What a change would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// What would change, a sentence each; nothing if nothing would.
    pub changes: Vec<String>,
    /// How it would come about: what of the changes at run time stays before the file, and what is dropped.
    pub notes: Vec<String>,
    /// What to beware of.
    pub warnings: Vec<String>,
    /// What it means for the users of each pool, in the order of the configuration.
    pub pools: Vec<PoolPreview>,
}

/// What a change would do to the users of one pool. Shares are parts of all of them, 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolPreview {
    /// The pool.
    pub pool: String,
    /// Slots of its table: users are spread over them evenly.
    pub slots: u32,
    /// Slots that another backend would serve.
    pub moved_slots: u32,
    /// The same as a share.
    pub moved: f64,
    /// Those of them that go to another group, where nobody knows these users' registrations.
    pub to_other_groups_slots: u32,
    /// The same as a share.
    pub to_other_groups: f64,
    /// The fewest slots that any way from the loads before to those after could move.
    pub least_slots: u32,
    /// The same as a share.
    pub least: f64,
    /// From where to where, most slots first.
    pub moves: Vec<MovePreview>,
    /// Load of everybody who serves before or after, by group and name.
    pub loads: Vec<LoadPreview>,
}

/// Users that would move. Group and backend are null where nobody serves them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MovePreview {
    /// The group that has them.
    pub from_group: Option<String>,
    /// The backend that serves them.
    pub from_backend: Option<String>,
    /// The group that would have them.
    pub to_group: Option<String>,
    /// The backend that would serve them.
    pub to_backend: Option<String>,
    /// How many slots.
    pub slots: u32,
    /// The same as a share.
    pub share: f64,
}

/// The load of a backend; group and backend are null for what nobody serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadPreview {
    /// Its group.
    pub group: Option<String>,
    /// Its name.
    pub backend: Option<String>,
    /// Slots that it serves now.
    pub before_slots: u32,
    /// The same as a share.
    pub before: f64,
    /// Slots that it would serve.
    pub after_slots: u32,
    /// The same as a share.
    pub after: f64,
}

/// Compares what is with what would be.
pub fn preview(before: &Plan, (desired, after): (&Desired, &Plan), changes: Vec<String>) -> Preview {
    let mut warnings = Vec::new();
    for pool in &after.pools {
        warn(before.pool(&pool.name), pool, desired, &mut warnings);
    }
    let gone = before.pools.iter().filter(|pool| after.pool(&pool.name).is_none());
    warnings.extend(gone.map(|pool| format!("pool {} would be gone, with all who serve it", pool.name)));
    let pools = moves(before, after).iter().map(of_pool).collect();
    Preview { changes, notes: Vec::new(), warnings, pools }
}

fn of_pool(moves: &PoolMoves<'_>) -> PoolPreview {
    PoolPreview {
        pool: moves.pool.to_owned(),
        slots: SLOTS as u32,
        moved_slots: moves.moved(),
        moved: share(moves.moved()),
        to_other_groups_slots: moves.to_other_groups(),
        to_other_groups: share(moves.to_other_groups()),
        least_slots: moves.least(),
        least: share(moves.least()),
        moves: moves.moves.iter().map(of_move).collect(),
        loads: moves.loads.iter().map(of_load).collect(),
    }
}

fn of_move(Move { from, to, slots }: &Move<'_>) -> MovePreview {
    let ((from_group, from_backend), (to_group, to_backend)) = (names(*from), names(*to));
    MovePreview { from_group, from_backend, to_group, to_backend, slots: *slots, share: share(*slots) }
}

fn of_load((place, Load { before, after }): (&Option<Place<'_>>, &Load)) -> LoadPreview {
    let (group, backend) = names(*place);
    let (before_slots, after_slots) = (*before, *after);
    LoadPreview { group, backend, before_slots, before: share(*before), after_slots, after: share(*after) }
}

fn names(place: Option<Place<'_>>) -> (Option<String>, Option<String>) {
    place.map(|place| (place.group.to_owned(), place.backend.to_owned())).unzip()
}

/// A part of all slots, to the millionth.
fn share(slots: u32) -> f64 {
    (f64::from(slots) / SLOTS as f64 * 1e6).round() / 1e6
}

/// What nobody may want: a pool or a group that nobody would serve any more, and who would serve in their places.
fn warn(before: Option<&PoolPlan>, after: &PoolPlan, desired: &Desired, warnings: &mut Vec<String>) {
    let name = &after.name;
    let served = |pool: &PoolPlan| pool.groups.iter().any(|group| group.active.is_some());
    let was_served = before.is_some_and(served);
    if was_served && after.groups.is_empty() {
        warnings.push(format!("pool {name} would lose its last backend: everything for it would be dropped"));
    } else if was_served && !served(after) {
        warnings.push(format!("nobody would serve pool {name} any more: everything for it would be dropped"));
    }
    if after.is_panic && before.is_none_or(|pool| !pool.is_panic) {
        warnings.push(format!(
            "no backend of pool {name} would be up: it would be sent to all that are not in maintenance"
        ));
    }
    let drops = desired.config.pool(name).is_some_and(|pool| pool.on_group_down == OnGroupDown::Drop);
    for group in &after.groups {
        let known = before.and_then(|pool| pool.groups.iter().find(|known| known.name == group.name));
        let is_lost = known.is_some_and(|known| known.active.is_some()) && group.active.is_none();
        if is_lost && served(after) {
            let users =
                if drops { "its users' messages would be dropped" } else { "its users would go to others" };
            warnings.push(format!("nobody would serve group {} of {name} any more: {users}", group.name));
        }
        let Some((active, _)) = &group.active else { continue };
        if group.slots > 0 && desired.state(name, active) == State::Draining {
            warnings.push(format!("{active} of {name} would go on serving while draining: nobody else can"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Config};
    use crate::net::Network;
    use crate::pool::changes::Named;
    use crate::pool::{Change, Changes, Facts, Ids, Planner};

    /// Groups `a` with a standby, and `b`.
    fn file(pool_keys: &str) -> Config {
        let text = format!(
            "[node]\ninterfaces = [\"eth0\"]\nhash-key = \"hex:{}\"\n[[vip]]\naddress = \"192.0.2.10\"\npool = \"p\"\n\
             [[pool]]\nname = \"p\"\n{pool_keys}\nbackend = [{{ name = \"a1\", address = \"10.0.0.1\", group = \"a\" }}, \
             {{ name = \"a2\", address = \"10.0.0.2\", group = \"a\", priority = 1 }}, \
             {{ name = \"b1\", address = \"10.0.0.3\", group = \"b\" }}]\n",
            "0".repeat(32)
        );
        config::parse(&text, "siplb.toml").unwrap()
    }

    fn after(file: &Config, changes: &[Change]) -> Preview {
        let plan = |desired: &Desired| {
            Planner::new(7, Ids::default()).plan(desired, Facts::NONE, &Network::default())
        };
        let mut all =
            changes.iter().fold(Changes::default(), |all, change| all.with(file, change).unwrap().0);
        let desired = Desired::new(file, &mut all).0;
        preview(&plan(&Desired::of_file(file.clone())), (&desired, &plan(&desired)), Vec::new())
    }

    fn state(name: &str, state: State) -> Change {
        Change::State(Named { pool: None, name: name.into() }, state)
    }

    #[test]
    fn a_drained_group_goes_to_the_others_and_nobody_else_moves() {
        let preview = after(&file(""), &[state("b1", State::Draining)]);
        let pool = &preview.pools[0];
        let [moved] = pool.moves.as_slice() else { panic!("{pool:?}") };
        let names = (moved.from_backend.as_deref(), moved.to_backend.as_deref());
        assert_eq!(names, (Some("b1"), Some("a1")));
        assert_eq!((pool.moved_slots, pool.least_slots), (moved.slots, moved.slots));
        assert_eq!(pool.to_other_groups_slots, moved.slots);
        assert!(moved.share > 0.49 && moved.share < 0.51, "{moved:?}");
        assert!(preview.warnings.is_empty(), "{:?}", preview.warnings);
    }

    #[test]
    fn a_standby_keeps_the_users_of_its_group() {
        let pool = &after(&file(""), &[state("a1", State::Maintenance)]).pools[0];
        assert!(pool.moved_slots > 32_000 && pool.to_other_groups_slots == 0, "{pool:?}");
    }

    #[test]
    fn the_last_to_go_is_warned_of() {
        let out = |name| state(name, State::Maintenance);
        let drain = |name| state(name, State::Draining);
        let warnings = |keys: &str, changes: &[Change]| after(&file(keys), changes).warnings;
        assert_eq!(
            warnings("", &[out("a1"), out("a2")]),
            ["nobody would serve group a of p any more: its users would go to others"]
        );
        assert_eq!(
            warnings("on-group-down = \"drop\"", &[out("b1")]),
            ["nobody would serve group b of p any more: its users' messages would be dropped"]
        );
        assert_eq!(
            warnings("", &[out("a1"), out("a2"), out("b1")]),
            ["nobody would serve pool p any more: everything for it would be dropped"]
        );
        assert_eq!(
            warnings("", &[out("a1"), out("a2"), drain("b1")]),
            [
                "nobody would serve group a of p any more: its users would go to others",
                "b1 of p would go on serving while draining: nobody else can"
            ]
        );
        let remove = ["a1", "a2", "b1"].map(|name| Change::Remove(Named { pool: None, name: name.into() }));
        assert_eq!(
            warnings("", &remove),
            ["pool p would lose its last backend: everything for it would be dropped"]
        );
    }
}
