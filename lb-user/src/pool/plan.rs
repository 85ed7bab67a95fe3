//! A plan: the image for the datapath, and the same in the operator's names.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use lb_common::slot::SLOTS;

use super::path;
use crate::datapath::image::{Image, Slots};

/// What is to be live.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// What the datapath gets.
    pub image: Image,
    /// What the operator sees, in the order of the configuration.
    pub pools: Vec<PoolPlan>,
    /// Where VIPs are, with their numbers, in the order of the configuration.
    pub vips: Vec<(SocketAddr, u32)>,
    /// Names of backends, by id.
    pub backends: BTreeMap<u32, String>,
    /// Names of their groups, by the backend's id.
    pub groups_of_backends: BTreeMap<u32, String>,
    /// Ids of VIPs that belong to another VIP than before: their counters are to be cleared.
    pub new_vips: Vec<u32>,
    /// The same of backends.
    pub new_backends: Vec<u32>,
}

/// One pool of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolPlan {
    /// Its name.
    pub name: String,
    /// Its lookup table, which has ids of groups.
    pub slots: Slots,
    /// Is none of its backends up, and everything sent anyway?
    pub is_panic: bool,
    /// In the order of the configuration.
    pub groups: Vec<GroupPlan>,
    /// The handover that is under way.
    pub handover: Option<HandoverPlan>,
}

/// Who owns a pool's slots in the other state of a handover.
#[derive(Clone, Debug, PartialEq)]
pub struct HandoverPlan {
    /// Its number.
    pub number: u32,
    /// Do unrecorded CANCEL and ACK go to the owners in the other state?
    pub is_switched: bool,
    /// The table in the other state.
    pub slots: Slots,
    /// Who serves each group in it, by id.
    pub groups: BTreeMap<u32, Option<u32>>,
}

/// One group of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPlan {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: u32,
    /// Its weight.
    pub weight: u32,
    /// How many slots it has now.
    pub slots: u32,
    /// Name and id of the backend that serves it.
    pub active: Option<(String, u32)>,
    /// Does it serve its own users? Otherwise their slots are with other groups, or their messages are dropped.
    pub is_up: bool,
}

impl Plan {
    /// A pool by name.
    pub fn pool(&self, name: &str) -> Option<&PoolPlan> {
        self.pools.iter().find(|pool| pool.name == name)
    }

    /// A group by id, and its pool.
    pub fn group(&self, id: u32) -> Option<(&PoolPlan, &GroupPlan)> {
        self.pools.iter().find_map(|pool| Some((pool, pool.groups.iter().find(|group| group.id == id)?)))
    }

    /// The number of the VIP at a socket.
    pub fn vip(&self, socket: SocketAddr) -> Option<u32> {
        self.vips.iter().find(|(known, _)| *known == socket).map(|(_, number)| *number)
    }

    /// What differs from `before`, a sentence each.
    pub fn differences(&self, before: &Self) -> Vec<String> {
        let pairs = self.pools.iter().filter_map(|pool| Some((pool, before.pool(&pool.name)?)));
        pairs.flat_map(|(pool, before)| pool.differences(before)).collect()
    }
}

impl PoolPlan {
    /// The group that has a slot.
    pub fn owner(&self, slot: usize) -> Option<&GroupPlan> {
        let id = u32::from(*self.slots.get(slot)?);
        self.groups.iter().find(|group| group.id == id)
    }

    fn differences(&self, before: &Self) -> Vec<String> {
        let mut sentences = Vec::new();
        for group in &self.groups {
            let Some(known) = before.groups.iter().find(|known| known.name == group.name) else { continue };
            if group.active != known.active {
                let name =
                    |group: &GroupPlan| group.active.as_ref().map_or("nobody", |(name, _)| name).to_owned();
                let group_path = path(&self.name, &group.name);
                sentences.push(format!(
                    "group {group_path} is served by {}, was by {}",
                    name(group),
                    name(known)
                ));
            }
        }
        let moved = self.slots.iter().zip(before.slots.iter()).filter(|(now, then)| now != then).count();
        if moved > 0 {
            sentences.push(format!("{moved} of {SLOTS} slots of pool {} have another group", self.name));
        }
        match (self.is_panic, before.is_panic) {
            (true, false) => {
                sentences.push(format!("no backend of pool {} is up: sending to all anyway", self.name))
            }
            (false, true) => sentences.push(format!("pool {} has a backend that is up again", self.name)),
            _ => {}
        }
        sentences
    }
}
