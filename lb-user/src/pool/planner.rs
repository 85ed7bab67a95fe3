//! Makes plans. Holds what is worth keeping between them: the ids, and the dealt tables, which take milliseconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lb_common::decide::domain_hash;
use lb_common::layout::{Host, KeyKind, Rules};
use lb_common::limits::DOMAINS_LIMIT;
use lb_common::slot::SLOTS;

use super::election::{self, Election, Member, Seat};
use super::{Desired, GroupPlan, Ids, Plan, PoolPlan, path};
use crate::config::{Config, KeyRule, Pool, Vip};
use crate::datapath::image::{Backend, Image, Slots, Vip as VipEntry};
use crate::net::Network;
use crate::table::{NOBODY, Share, Table};

/// Makes a plan of what is wanted and what is up.
#[derive(Clone, Debug)]
pub struct Planner {
    seed: u64,
    ids: Ids,
    deals: BTreeMap<String, Deal>,
}

/// A pool's table with the shares it was dealt for, and what became of it last.
#[derive(Clone, Debug)]
struct Deal {
    shares: Vec<(String, u32)>,
    table: Table,
    last: Option<(Vec<(u16, bool, bool)>, Slots)>,
}

impl Planner {
    /// With the seed of the hash key, and the ids that were in use.
    pub fn new(seed: u64, ids: Ids) -> Self {
        Self { seed, ids, deals: BTreeMap::new() }
    }

    /// The ids in use, to be stored.
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// The seed of all hashes.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Plans. `down` has the backends that checks found down, by [`path`]; all others count as up.
    ///
    /// # Panics
    /// If the configuration exceeds its own limits; `contradictions` refuses such.
    pub fn plan(&mut self, desired: &Desired, down: &BTreeSet<String>, network: &Network) -> Plan {
        let config = &desired.config;
        let (new_vips, new_backends) = self.number(desired);
        self.deals.retain(|pool, _| config.pool(pool).is_some());
        let mut plan = Plan { new_vips, new_backends, ..Plan::default() };
        for pool in &config.pools {
            let pool_plan = self.plan_pool(desired, pool, down);
            let groups = pool_plan.groups.iter();
            plan.image
                .groups
                .extend(groups.map(|group| (group.id, group.active.as_ref().map(|(_, id)| *id))));
            if !pool_plan.groups.is_empty() {
                plan.image
                    .tables
                    .insert(self.ids.tables.get(&pool.name).expect("numbered"), pool_plan.slots.clone());
            }
            plan.pools.push(pool_plan);
        }
        for vip in &config.vips {
            self.plan_vip(vip, config, &mut plan.image);
        }
        for (pool, backend) in desired.backends() {
            let id = self.backend(&pool.name, &backend.name);
            let vip = config.vip_of(pool).map(|vip| self.ids.vips.get(&vip_name(vip)).expect("numbered"));
            let next_hop = network.next_hops.get(&backend.address).copied();
            plan.backends.insert(id, backend.name.clone());
            plan.image.backends.insert(id, Backend { socket: backend.socket(), vip, next_hop });
        }
        let peers = config.peers.iter().map(|address| (*address, Host::Peer));
        plan.image.hosts = peers.chain(network.local.iter().map(|address| (*address, Host::Node))).collect();
        plan
    }

    /// Gives everything its number; returns those of VIPs and of backends that are new.
    fn number(&mut self, desired: &Desired) -> (Vec<u32>, Vec<u32>) {
        let config = &desired.config;
        self.ids.limit(&config.limits);
        let backends = desired.backends().map(|(pool, backend)| path(&pool.name, &backend.name));
        let backends: Vec<String> = backends.collect();
        let groups = desired.backends().map(|(pool, backend)| path(&pool.name, &backend.group));
        let groups: Vec<String> = groups.collect();
        let vips: Vec<String> = config.vips.iter().map(vip_name).collect();
        self.ids.tables.assign(config.pools.iter().map(|pool| pool.name.as_str()));
        self.ids.groups.assign(groups.iter().map(String::as_str));
        (
            self.ids.vips.assign(vips.iter().map(String::as_str)),
            self.ids.backends.assign(backends.iter().map(String::as_str)),
        )
    }

    fn backend(&self, pool: &str, name: &str) -> u32 {
        self.ids.backends.get(&path(pool, name)).expect("numbered")
    }

    fn plan_pool(&mut self, desired: &Desired, pool: &Pool, down: &BTreeSet<String>) -> PoolPlan {
        let groups = groups(desired, pool, down);
        let members: Vec<Vec<Member<'_>>> = groups.iter().map(|(_, _, members)| members.clone()).collect();
        let Election { seats, is_panic } = election::elect(&members, pool.on_group_down);
        let ids: Vec<u32> = groups
            .iter()
            .map(|(name, _, _)| self.ids.groups.get(&path(&pool.name, name)).expect("numbered"))
            .collect();
        let shares = groups.iter().map(|(name, weight, _)| ((*name).to_owned(), *weight)).collect();
        let slots = self.deal(&pool.name, shares, &ids, &seats);
        let mut counts = BTreeMap::<u16, u32>::new();
        slots.iter().for_each(|id| *counts.entry(*id).or_default() += 1);
        let plan = |((name, weight, _), (id, seat)): (&(&str, u32, _), (&u32, &Seat<'_>))| GroupPlan {
            name: (*name).to_owned(),
            id: *id,
            weight: *weight,
            slots: counts.get(&(*id as u16)).copied().unwrap_or(0),
            active: seat.active.map(|name| (name.to_owned(), self.backend(&pool.name, name))),
            is_up: seat.takes && !is_panic,
        };
        let groups = groups.iter().zip(ids.iter().zip(&seats)).map(plan).collect();
        PoolPlan { name: pool.name.clone(), slots, is_panic, groups }
    }

    /// The slots of a pool, by id of their group. Dealt anew when names or weights of groups changed, and given to
    /// stand-ins when an election says something else than the last time.
    fn deal(&mut self, pool: &str, shares: Vec<(String, u32)>, ids: &[u32], seats: &[Seat<'_>]) -> Slots {
        let seed = self.seed;
        let fresh = |shares: Vec<(String, u32)>| {
            let asked: Vec<Share<'_>> =
                shares.iter().map(|(name, weight)| Share { name, weight: *weight }).collect();
            let table = Table::build(&asked, seed);
            Deal { shares, table, last: None }
        };
        let deal = match self.deals.remove(pool) {
            Some(deal) if deal.shares == shares => deal,
            _ => fresh(shares),
        };
        let deal = self.deals.entry(pool.to_owned()).or_insert(deal);
        let asked: Vec<(u16, bool, bool)> =
            ids.iter().zip(seats).map(|(id, seat)| (*id as u16, seat.keeps, seat.takes)).collect();
        match &deal.last {
            Some((last, slots)) if *last == asked => Arc::clone(slots),
            _ => {
                let slots = slots(&deal.table, &asked);
                deal.last = Some((asked, Arc::clone(&slots)));
                slots
            }
        }
    }

    fn plan_vip(&self, vip: &Vip, config: &Config, image: &mut Image) {
        let pool = config.pool(&vip.pool);
        let number = pool.and_then(|pool| self.ids.tables.get(&pool.name));
        let entry = VipEntry {
            socket: vip.socket(),
            rules: rules(vip, pool, self.seed),
            table: number.filter(|number| image.tables.contains_key(number)),
        };
        image.vips.insert(self.ids.vips.get(&vip_name(vip)).expect("numbered"), entry);
    }
}

/// The name of a VIP that is unique in the configuration.
pub(crate) fn vip_name(vip: &Vip) -> String {
    format!("{}/{}", vip.socket(), vip.transport)
}

/// The groups of a pool in the order in which they first appear, with weight and members.
fn groups<'a>(
    desired: &'a Desired,
    pool: &'a Pool,
    down: &BTreeSet<String>,
) -> Vec<(&'a str, u32, Vec<Member<'a>>)> {
    let mut groups: Vec<(&str, u32, Vec<Member<'_>>)> = Vec::new();
    let mut places = BTreeMap::new();
    for backend in &pool.backends {
        let member = Member {
            name: &backend.name,
            priority: backend.priority,
            state: desired.state(&pool.name, &backend.name),
            is_up: !down.contains(&path(&pool.name, &backend.name)),
        };
        let place = *places.entry(backend.group.as_str()).or_insert_with(|| {
            groups.push((&backend.group, backend.weight, Vec::new()));
            groups.len() - 1
        });
        groups[place].2.push(member);
    }
    groups
}

/// Slots by id: those of groups that keep theirs stay, the others go to groups that take some.
fn slots(table: &Table, groups: &[(u16, bool, bool)]) -> Slots {
    let takes: Vec<bool> = groups.iter().map(|(_, _, takes)| *takes).collect();
    let stand_ins = table.with_down(&takes);
    let mut slots = Arc::new([0; SLOTS]);
    let by_slot = Arc::get_mut(&mut slots).expect("nobody else has it yet");
    for ((slot, owner), stand_in) in by_slot.iter_mut().zip(table.owners()).zip(stand_ins) {
        let keeps = groups.get(usize::from(*owner)).is_some_and(|(_, keeps, _)| *keeps);
        let holder = if keeps { *owner } else { stand_in };
        *slot = if holder == NOBODY { 0 } else { groups[usize::from(holder)].0 };
    }
    slots
}

/// How a VIP's messages are judged.
pub(crate) fn rules(vip: &Vip, pool: Option<&Pool>, seed: u64) -> Rules {
    let mut domains = [0; DOMAINS_LIMIT];
    for (entry, domain) in domains.iter_mut().zip(&vip.domains) {
        *entry = domain_hash(domain.as_bytes(), seed);
    }
    let key = match pool.map_or(KeyRule::User, |pool| pool.key) {
        KeyRule::User => KeyKind::User,
        KeyRule::Aor => KeyKind::Aor,
        KeyRule::From => KeyKind::From,
        KeyRule::CallId => KeyKind::CallId,
        KeyRule::Source => KeyKind::Source,
    };
    Rules {
        seed,
        key: key as u8,
        number_tail: pool.map_or(0, |pool| pool.number_tail),
        domain_count: vip.domains.len().min(DOMAINS_LIMIT) as u8,
        pad: [0; 5],
        domains,
    }
}
