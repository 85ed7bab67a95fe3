//! Who may serve a pool's users, health aside: the members of its groups, what is wanted of them, and who is away.
//!
//! A pool has one roster in effect, and during a handover a second one ([`super::handover`]). The planner makes an
//! election of a roster and of what is up; who owns each slot by it is an [`Owners`]. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Desired, PoolPlan, State};
use crate::config::Pool;

/// The members of a pool, in the order of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// In the order of the configuration.
    pub members: Vec<Entry>,
}

/// A member of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The backend's name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// The lowest serves.
    pub priority: u8,
    /// Weight of its group.
    pub weight: u32,
    /// What the operator wants of it.
    pub state: State,
    /// Has it failed, and not gone home since? Whoever stands in for it then goes before it.
    pub is_away: bool,
}

impl Roster {
    /// What is wanted of a pool, with these of its backends away.
    pub fn of(desired: &Desired, pool: &Pool, is_away: impl Fn(&str) -> bool) -> Self {
        let entry = |backend: &crate::config::Backend| Entry {
            name: backend.name.clone(),
            group: backend.group.clone(),
            priority: backend.priority,
            weight: backend.weight,
            state: desired.state(&pool.name, &backend.name),
            is_away: is_away(&backend.name),
        };
        Self { members: pool.backends.iter().map(entry).collect() }
    }

    /// The same with these at home.
    pub(super) fn with_home(&self, names: &BTreeSet<&str>) -> Self {
        let mut roster = self.clone();
        for member in &mut roster.members {
            member.is_away &= !names.contains(member.name.as_str());
        }
        roster
    }

    /// A member by name.
    pub(super) fn member(&mut self, name: &str) -> Option<&mut Entry> {
        self.members.iter_mut().find(|member| member.name == name)
    }
}

/// Who owns each slot by a roster and by what is up.
#[derive(Clone, Debug)]
pub struct Owners {
    /// The plan of the roster.
    pub plan: PoolPlan,
    /// Id of who serves a group, at the group's id; 0 is nobody.
    active: Vec<u32>,
}

impl Owners {
    /// By a plan.
    pub fn new(plan: PoolPlan) -> Self {
        let last = plan.groups.iter().map(|group| group.id).max().unwrap_or(0);
        let mut active = vec![0; last as usize + 1];
        for group in &plan.groups {
            active[group.id as usize] = group.active.as_ref().map_or(0, |(_, id)| *id);
        }
        Self { plan, active }
    }

    /// Does it help to hand anything over? Not from those who don't serve.
    pub(super) fn serve(&self) -> bool {
        !self.plan.is_panic && self.active.iter().any(|id| *id != 0)
    }

    /// The slots that have another owner in `other`, in ascending order.
    pub fn moved<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = usize> + 'a {
        let pairs = self.plan.slots.iter().zip(other.plan.slots.iter()).enumerate();
        pairs.filter(|(_, (here, there))| self.owner(**here) != other.owner(**there)).map(|(slot, _)| slot)
    }

    /// Has every slot the same owner?
    pub fn is_same(&self, other: &Self) -> bool {
        self.moved(other).next().is_none()
    }

    fn owner(&self, group: u16) -> u32 {
        self.active.get(usize::from(group)).copied().unwrap_or(0)
    }
}
