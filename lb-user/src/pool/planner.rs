//! Makes plans. Holds what is worth keeping between them: the ids, and the dealt tables, which take milliseconds.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use lb_common::layout::{Host, KeepAlives, KeyKind, Mode, Rules};

use super::deal::{self, Deal, Holder};
use super::election::{self, Election, Member, Seat};
use super::handover::{Course, Judge};
use super::roster::{Owners, Roster};
use super::{Courses, Desired, Facts, GroupPlan, HandoverPlan, Ids, Plan, PoolPlan, State, path};
use crate::config::{self, Config, Forward, KeyRule, Pool, Vip};
use crate::datapath::image::{
    self, Backend, Image, Moving, Name, NamePort, Named, OwnPort, Phase, Standing, Vip as VipEntry,
};
use crate::net::Network;

/// Makes a plan of what is wanted and what is up.
#[derive(Clone, Debug)]
pub struct Planner {
    seed: u64,
    ids: Ids,
    /// The tables of each pool, the one that was used last at the end. A handover has two.
    deals: BTreeMap<String, Vec<Deal>>,
    /// Ids that belong to others than before, until a plan tells.
    new_vips: Vec<u32>,
    new_backends: Vec<u32>,
}

/// How many tables of a pool are kept: those of a handover, and one that is looked at.
const DEALS: usize = 3;

impl Planner {
    /// With the seed of the hash key, and the ids that were in use.
    pub fn new(seed: u64, ids: Ids) -> Self {
        Self { seed, ids, deals: BTreeMap::new(), new_vips: Vec::new(), new_backends: Vec::new() }
    }

    /// The ids in use, to be stored.
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// The seed of all hashes.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Plans what is wanted as if it had always been, by what was found out of the backends.
    ///
    /// # Panics
    /// If the configuration exceeds its own limits; `contradictions` refuses such.
    pub fn plan(&mut self, desired: &Desired, facts: Facts<'_>, network: &Network) -> Plan {
        self.plan_on(&Courses::default(), desired, facts, network)
    }

    /// Plans what is in effect. `effective` has the backends that are leaving too: [`Courses::effective`]. A pool without a
    /// course has what is wanted in effect.
    ///
    /// # Panics
    /// As [`Planner::plan`].
    pub fn plan_on(
        &mut self,
        courses: &Courses,
        effective: &Desired,
        facts: Facts<'_>,
        network: &Network,
    ) -> Plan {
        let desired = effective;
        let config = &desired.config;
        self.number(desired, courses);
        self.deals.retain(|pool, _| config.pool(pool).is_some());
        let mut plan = Plan {
            new_vips: std::mem::take(&mut self.new_vips),
            new_backends: std::mem::take(&mut self.new_backends),
            ..Plan::default()
        };
        for pool in &config.pools {
            let pool_plan = self.plan_pool(desired, pool, courses.of(&pool.name), facts);
            self.put_pool(&pool_plan, &mut plan.image, config.limits.pools);
            plan.pools.push(pool_plan);
        }
        let mut names = self.names(config);
        for (index, vip) in config.vips.iter().enumerate() {
            let number = self.ids.vips.get(&vip_name(vip)).expect("numbered");
            plan.vips.push((vip.socket(), number));
            let names = names.remove(&index).unwrap_or_default();
            let entry = self.plan_vip(vip, config, &plan, names);
            plan.image.vips.insert(number, entry);
        }
        let serving = serving(&plan.pools);
        for (pool, backend) in desired.backends() {
            let id = self.backend(&pool.name, &backend.name);
            plan.backends.insert(id, backend.name.clone());
            plan.groups_of_backends.insert(id, backend.group.clone());
            let entry = self.plan_backend(desired, (pool, backend), &serving, facts, network);
            plan.image.backends.insert(id, entry);
        }
        let peers = config.peers.iter().map(|address| (*address, Host::Peer));
        plan.image.hosts = peers.chain(network.local.iter().map(|address| (*address, Host::Node))).collect();
        plan
    }

    fn plan_backend(
        &self,
        desired: &Desired,
        (pool, backend): (&Pool, &config::Backend),
        serving: &Serving<'_>,
        facts: Facts<'_>,
        network: &Network,
    ) -> Backend {
        let config = &desired.config;
        let vip = config.vip_of(pool).map(|vip| self.ids.vips.get(&vip_name(vip)).expect("numbered"));
        let mode = mode(pool.forward);
        let next_hop = match mode {
            Mode::Dsr => network.neighbour(backend.address),
            Mode::Nat | Mode::Ipip => network.next_hop(backend.address),
        };
        let standing = standing(desired, (pool, backend), serving, facts);
        Backend {
            socket: backend.socket(),
            vip,
            next_hop,
            mode,
            own_port: backend.own_port.map(|own| OwnPort { vip_port: own.vip_port, port: own.port }),
            standing,
            is_up: standing == Standing::Serves,
            tunnel_source: tunnel_source(config, backend.address),
        }
    }

    /// Says who owns slots by a roster of the configuration that was numbered last, and by what is up.
    pub fn judge<'a>(&'a mut self, facts: Facts<'a>) -> impl Judge + use<'a> {
        ByPlan { planner: self, facts }
    }

    /// Gives everything its number.
    ///
    /// # Panics
    /// As [`Planner::plan`].
    pub fn number(&mut self, desired: &Desired, courses: &Courses) {
        let config = &desired.config;
        self.ids.limit(&config.limits);
        let backends = desired.backends().map(|(pool, backend)| path(&pool.name, &backend.name));
        let backends: Vec<String> = backends.collect();
        let of_courses = courses.iter().flat_map(|(pool, course)| {
            course.rosters().flat_map(|roster| &roster.members).map(move |member| path(pool, &member.group))
        });
        let groups = desired.backends().map(|(pool, backend)| path(&pool.name, &backend.group));
        let groups: Vec<String> = groups.chain(of_courses).collect();
        let vips: Vec<String> = config.vips.iter().map(vip_name).collect();
        self.ids.tables.assign(config.pools.iter().map(|pool| pool.name.as_str()));
        self.ids.groups.assign(groups.iter().map(String::as_str));
        self.new_vips.extend(self.ids.vips.assign(vips.iter().map(String::as_str)));
        self.new_backends.extend(self.ids.backends.assign(backends.iter().map(String::as_str)));
    }

    fn backend(&self, pool: &str, name: &str) -> u32 {
        self.ids.backends.get(&path(pool, name)).expect("numbered")
    }

    fn plan_pool(
        &mut self,
        desired: &Desired,
        pool: &Pool,
        course: Option<&Course>,
        facts: Facts<'_>,
    ) -> PoolPlan {
        let Some(course) = course else {
            return self.plan_roster(pool, &Roster::of(desired, pool, |_| false), facts);
        };
        let mut plan = self.plan_roster(pool, &course.roster, facts);
        plan.handover = course.handover.as_ref().map(|handover| {
            let other = self.plan_roster(pool, &handover.other, facts);
            let active = |group: &GroupPlan| (group.id, group.active.as_ref().map(|(_, id)| *id));
            HandoverPlan {
                number: handover.number,
                is_switched: handover.is_switched,
                slots: other.slots,
                groups: other.groups.iter().map(active).collect(),
            }
        });
        plan
    }

    fn plan_roster(&mut self, pool: &Pool, roster: &Roster, facts: Facts<'_>) -> PoolPlan {
        let groups = groups(roster, pool, facts);
        let members: Vec<&[Member<'_>]> = groups.iter().map(|group| group.members.as_slice()).collect();
        let Election { seats, is_panic } = election::elect(&members, pool.on_group_down);
        let ids =
            groups.iter().map(|group| self.ids.groups.get(&path(&pool.name, group.name)).expect("numbered"));
        let ids: Vec<u32> = ids.collect();
        let holder = |(id, seat): (&u32, &Seat<'_>)| Holder { id: *id, keeps: seat.keeps, takes: seat.takes };
        let slots = self.deal(pool, &groups).slots(ids.iter().zip(&seats).map(holder).collect());
        let counts = deal::counts(&slots);
        let plan = |(group, (id, seat)): (&Group<'_>, (&u32, &Seat<'_>))| GroupPlan {
            name: group.name.to_owned(),
            id: *id,
            weight: group.weight,
            slots: counts.get(*id as usize).copied().unwrap_or(0),
            active: seat.active.map(|name| (name.to_owned(), self.backend(&pool.name, name))),
            is_up: seat.keeps && seat.active.is_some() && !is_panic,
        };
        let groups = groups.iter().zip(ids.iter().zip(&seats)).map(plan).collect();
        PoolPlan { name: pool.name.clone(), slots, is_panic, groups, handover: None }
    }

    /// Puts tables and groups of a pool into an image. The table in the other state of a handover lies as far behind the
    /// pool's own as there may be pools.
    fn put_pool(&self, plan: &PoolPlan, image: &mut Image, pools: u32) {
        for group in &plan.groups {
            let active = group.active.as_ref().map(|(_, id)| *id);
            let other = if plan.handover.is_some() { None } else { active };
            image.groups.insert(group.id, image::Group { active, other });
        }
        if plan.groups.is_empty() {
            return;
        }
        let number = self.ids.tables.get(&plan.name).expect("numbered");
        image.tables.insert(number, plan.slots.clone());
        if let Some(handover) = &plan.handover {
            for (id, active) in &handover.groups {
                image.groups.entry(*id).or_insert(image::Group::served_by(None)).other = *active;
            }
            if handover.slots != plan.slots {
                image.tables.insert(number + pools, handover.slots.clone());
            }
        }
    }

    /// The table of a pool, dealt anew when names or weights of groups have changed.
    fn deal(&mut self, pool: &Pool, groups: &[Group<'_>]) -> &mut Deal {
        let shares: Vec<(String, u32)> =
            groups.iter().map(|group| (group.name.to_owned(), group.weight)).collect();
        let deals = self.deals.entry(pool.name.clone()).or_default();
        let kept = deals.iter().position(|deal| deal.is_for(&shares)).map(|place| deals.remove(place));
        deals.push(kept.unwrap_or_else(|| Deal::new(shares, self.seed)));
        let excess = deals.len().saturating_sub(DEALS);
        deals.drain(..excess);
        deals.last_mut().expect("one was put there")
    }

    /// What messages can name, by the index of the VIP.
    fn names(&self, config: &Config) -> BTreeMap<usize, BTreeMap<Name, Named>> {
        let mut all = BTreeMap::<usize, BTreeMap<Name, Named>>::new();
        let ids = |pool: &Pool| pool.backends.iter().map(|it| self.backend(&pool.name, &it.name)).collect();
        let ids: Vec<Vec<u32>> = config.pools.iter().map(ids).collect();
        for name in config::names(config) {
            let named = match name.of {
                config::Named::Vip => Named::Vip,
                config::Named::Backend { pool, backend } => Named::Backend(ids[pool][backend]),
            };
            let ports: &[NamePort] = match (name.any_port, name.port) {
                (true, _) => &[NamePort::None, NamePort::Any],
                (false, None) => &[NamePort::None],
                (false, Some(port)) => &[NamePort::Exactly(port)],
            };
            let names = all.entry(name.vip).or_default();
            names.extend(ports.iter().map(|port| (Name { host: name.host.clone(), port: *port }, named)));
        }
        all
    }

    fn plan_vip(&self, vip: &Vip, config: &Config, plan: &Plan, names: BTreeMap<Name, Named>) -> VipEntry {
        let pool = config.pool(&vip.pool);
        let tables = &plan.image.tables;
        let table = pool
            .and_then(|pool| self.ids.tables.get(&pool.name))
            .filter(|number| tables.contains_key(number));
        let handover = plan.pool(&vip.pool).and_then(|pool| pool.handover.as_ref());
        let moving = table.zip(handover).map(|(table, handover)| {
            let other = Some(table + config.limits.pools).filter(|number| tables.contains_key(number));
            let phase = if handover.is_switched { Phase::Switched } else { Phase::Recording };
            Moving { number: handover.number, other_table: other.or(Some(table)), phase }
        });
        VipEntry { socket: vip.socket(), rules: rules(vip, pool, self.seed), table, names, change: moving }
    }
}

/// Judges rosters by the numbers that the effective configuration has.
struct ByPlan<'a> {
    planner: &'a mut Planner,
    facts: Facts<'a>,
}

impl Judge for ByPlan<'_> {
    fn owners(&mut self, pool: &Pool, roster: &Roster) -> Owners {
        Owners::new(self.planner.plan_roster(pool, roster, self.facts))
    }
}

/// Who gets the messages that name a backend: itself while it can serve, drained or not; else whoever serves its group.
fn standing(
    desired: &Desired,
    (pool, backend): (&Pool, &config::Backend),
    serving: &Serving<'_>,
    facts: Facts<'_>,
) -> Standing {
    let is_panic = serving.panicking.contains(pool.name.as_str());
    let is_up = is_panic || !facts.down.contains(&path(&pool.name, &backend.name));
    if is_up && desired.state(&pool.name, &backend.name) != State::Maintenance {
        return Standing::Serves;
    }
    let group = (pool.name.as_str(), backend.group.as_str());
    serving.active.get(&group).map_or(Standing::Down, |id| Standing::ServedBy(*id))
}

/// What the standing of a backend follows from: found once, since a backend may be one of thousands.
struct Serving<'a> {
    /// Who serves each group, by pool and group.
    active: BTreeMap<(&'a str, &'a str), u32>,
    /// Pools of which everything counts as up.
    panicking: BTreeSet<&'a str>,
}

fn serving(pools: &[PoolPlan]) -> Serving<'_> {
    let groups = pools.iter().flat_map(|pool| pool.groups.iter().map(move |group| (pool, group)));
    let active = groups.filter_map(|(pool, group)| {
        let (_, id) = group.active.as_ref()?;
        Some(((pool.name.as_str(), group.name.as_str()), *id))
    });
    let panicking = pools.iter().filter(|pool| pool.is_panic).map(|pool| pool.name.as_str());
    Serving { active: active.collect(), panicking: panicking.collect() }
}

/// How packets get to the backends of a pool.
fn mode(forward: Forward) -> Mode {
    match forward {
        Forward::Nat => Mode::Nat,
        Forward::Dsr => Mode::Dsr,
        Forward::Ipip => Mode::Ipip,
    }
}

/// The network of the outer source addresses towards a backend.
fn tunnel_source(config: &Config, backend: IpAddr) -> IpAddr {
    let networks = &config.node.tunnel_source;
    if backend.is_ipv4() { networks.v4.into() } else { networks.v6.into() }
}

/// The name of a VIP that is unique in the configuration.
fn vip_name(vip: &Vip) -> String {
    format!("{}/{}", vip.socket(), vip.transport)
}

/// A group and its members.
struct Group<'a> {
    name: &'a str,
    weight: u32,
    members: Vec<Member<'a>>,
}

/// The groups of a pool in the order in which they first appear.
fn groups<'a>(roster: &'a Roster, pool: &Pool, facts: Facts<'_>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut places = BTreeMap::new();
    for entry in &roster.members {
        let member = Member {
            name: &entry.name,
            priority: entry.priority,
            state: entry.state,
            is_up: !facts.down.contains(&path(&pool.name, &entry.name)),
            is_overloaded: facts.overloaded.contains(&path(&pool.name, &entry.name)),
            is_away: entry.is_away,
        };
        let place = *places.entry(entry.group.as_str()).or_insert_with(|| {
            groups.push(Group { name: &entry.group, weight: entry.weight, members: Vec::new() });
            groups.len() - 1
        });
        groups[place].members.push(member);
    }
    groups
}

/// How a VIP's messages are judged.
pub(super) fn rules(vip: &Vip, pool: Option<&Pool>, seed: u64) -> Rules {
    let key = match pool.map_or(KeyRule::User, |pool| pool.key) {
        KeyRule::User => KeyKind::User,
        KeyRule::Aor => KeyKind::Aor,
        KeyRule::From => KeyKind::From,
        KeyRule::CallId => KeyKind::CallId,
        KeyRule::Source => KeyKind::Source,
    };
    Rules {
        key: key as u8,
        number_tail: pool.map_or(0, |pool| pool.number_tail),
        keep_alives: keep_alives(&vip.keep_alives),
        ..Rules::with_domains(seed, &vip.domains)
    }
}

/// The bits of the kinds that are forwarded.
fn keep_alives(rules: &config::KeepAlives) -> u8 {
    let kinds = [
        (rules.crlf, KeepAlives::CRLF),
        (rules.double_crlf, KeepAlives::DOUBLE_CRLF),
        (rules.nul, KeepAlives::NUL),
        (rules.stun, KeepAlives::STUN),
        (rules.junk, KeepAlives::JUNK),
    ];
    kinds.iter().filter(|(rule, _)| *rule == config::KeepAlive::Forward).map(|(_, bit)| bit).sum()
}
