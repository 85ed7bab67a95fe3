//! How a pool gets from one roster to another: who is away and goes home when, and how transactions under way are let
//! finish when users move.
//!
//! A [`Course`] is what a pool has in effect. Facts change it in two ways:
//!
//! - **At once**, what is not up to anybody: a backend that fails is [away](super::roster::Entry::is_away) from then on, and one that is
//!   put into maintenance serves nobody.
//! - **By a handover**, what is wanted and can wait: draining, weights, additions, removals, going home. In it, the
//!   requests of users who move are told apart by transaction (docs/adr/0007-handover.md):
//!
//! ```text
//!          wanted differs                 record is over                finish is over
//!  steady ----------------> recording ---------------------> finishing ----------------> steady
//!    ^                        |    ^  wanted differs again     |    ^
//!    +--- wanted as before ---+    +--- (a longer record)      +----+ wanted as before: back at once
//! ```
//!
//! The courses of all pools are [`super::Courses`]. Pure: time and facts are parameters, and any state has a way out: every
//! phase ends by time alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::roster::{Owners, Roster};
use super::{Desired, Facts, State, path};
use crate::config::{Backend, Failback, Pool};

/// How long the phases of a handover take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Windows {
    /// Until no transaction that began unrecorded can send a request again, but for CANCEL and ACK.
    #[serde(serialize_with = "crate::config::duration_as_text")]
    pub record: Duration,
    /// Until no transaction that was recorded, or began before, is under way.
    #[serde(serialize_with = "crate::config::duration_as_text")]
    pub finish: Duration,
}

impl Default for Windows {
    /// 64*T1, when every client transaction without a provisional response has ended (RFC 3261 sections 17.1.1.2 and
    /// 17.1.2.2); and Timer C, which is longer than 3 minutes (section 16.6, step 11), with 64*T1 for the CANCEL that it
    /// sends.
    fn default() -> Self {
        Self { record: Duration::from_secs(32), finish: Duration::from_secs(212) }
    }
}

/// What a pool has in effect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Course {
    /// Who serves new transactions.
    pub roster: Roster,
    /// The handover that is under way.
    pub handover: Option<Handover>,
    /// Backends that failed and have not gone home; since when they are up again, if they are.
    pub(super) away: BTreeMap<String, Option<Instant>>,
    /// All backends of the rosters, those that are not wanted any more among them.
    known: Vec<Backend>,
}

/// A planned change of who serves whom, while it is under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Handover {
    /// Tells its records from those of others; never 0.
    pub number: u32,
    /// The roster in the other state: while recording the one to come, then the one that was.
    pub other: Roster,
    /// Where it stands.
    pub phase: Phase,
    /// Did new transactions begin to go to their new owners? Those older than the record are at the others then.
    pub is_switched: bool,
    /// When the phase began.
    pub since: Instant,
    /// How many slots have another owner in the other state.
    pub moving: u32,
    /// Is something wanted that waits for the end of this one?
    pub is_awaited: bool,
}

/// Phases of a handover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Users are where they were, and their transactions are recorded.
    Recording,
    /// Users have moved, and recorded transactions finish where they began.
    Finishing,
}

/// Something that happened to a pool's course.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A handover began, or has another aim now: the slots that will move.
    Recording(u32),
    /// New transactions of so many slots go to their new owners now.
    Switched(u32),
    /// Users who had moved are back where they were.
    Back(u32),
    /// The last transactions are over.
    Finished,
    /// What was wanted is not wanted any more, before anybody had moved.
    CalledOff,
    /// So many slots moved without a handover.
    AtOnce(u32),
    /// What is wanted now waits for the end of the handover that is under way.
    Waits,
    /// A backend that was away serves its users again, or may: none of them had to move for it.
    Home(String),
    /// The time of a backend that was away has come: its users are handed over.
    GoesHome(String),
}

/// What a course is advanced by.
pub struct Moment<'a> {
    /// When.
    pub now: Instant,
    /// The windows that are configured.
    pub windows: Windows,
    /// Pools whose users are not handed over but move now.
    pub at_once: &'a BTreeSet<String>,
    /// What was found out of the backends. Those that are overloaded don't go home.
    pub facts: Facts<'a>,
}

/// Says who owns the slots of a pool by a roster.
pub trait Judge {
    /// The owners, by what is up now.
    fn owners(&mut self, pool: &Pool, roster: &Roster) -> Owners;
}

impl Course {
    /// One that has what is wanted in effect, and knows no past.
    pub(super) fn of(desired: &Desired, pool: &Pool) -> Self {
        Self { roster: Roster::of(desired, pool, |_| false), known: pool.backends.clone(), ..Self::default() }
    }

    /// One as it was stored.
    pub fn resumed(
        roster: Roster,
        handover: Option<Handover>,
        away: impl IntoIterator<Item = String>,
        known: Vec<Backend>,
    ) -> Self {
        Self { roster, handover, away: away.into_iter().map(|name| (name, None)).collect(), known }
    }

    /// Backends that are not wanted any more, and serve what they have under way.
    pub fn leaving<'a>(&'a self, wanted: &'a Pool) -> impl Iterator<Item = &'a Backend> {
        let names: BTreeSet<&str> = wanted.backends.iter().map(|backend| backend.name.as_str()).collect();
        self.known.iter().filter(move |known| !names.contains(known.name.as_str()))
    }

    /// The roster in effect, and during a handover the other one.
    pub fn rosters(&self) -> impl Iterator<Item = &Roster> {
        [&self.roster].into_iter().chain(self.handover.as_ref().map(|handover| &handover.other))
    }

    /// All backends of the rosters.
    pub fn known(&self) -> &[Backend] {
        &self.known
    }

    /// Names of the backends that are away, and since when they are up again.
    pub fn away(&self) -> impl Iterator<Item = (&str, Option<Instant>)> {
        self.away.iter().map(|(name, since)| (name.as_str(), *since))
    }

    /// Is the backend up and kept from its users?
    pub fn is_held(&self, name: &str) -> bool {
        self.away.get(name).is_some_and(Option::is_some)
    }

    /// Lets a backend that is up go home without waiting. Says whether it was away.
    pub(super) fn release(&mut self, name: &str) -> bool {
        let is_held = self.is_held(name);
        if is_held {
            self.away.remove(name);
        }
        is_held
    }

    /// Takes what is wanted and known now.
    pub(super) fn advance(
        &mut self,
        desired: &Desired,
        pool: &Pool,
        judge: &mut impl Judge,
        moment: &Moment<'_>,
        last_number: &mut u32,
    ) -> Vec<News> {
        let mut news = Vec::new();
        self.note_failures(pool, moment);
        self.follow_at_once(desired, pool);
        self.go_home(desired, pool, judge, moment, &mut news);
        while let Some(happened) = self.turn(moment) {
            news.push(happened);
        }
        let wanted = Roster::of(desired, pool, |name| self.away.contains_key(name));
        self.want(wanted, pool, judge, moment, last_number, &mut news);
        while let Some(happened) = self.turn(moment) {
            news.push(happened);
        }
        self.know(pool);
        news
    }

    /// Who fails is away, until he goes home; who is leaving as well, and that one never does.
    fn note_failures(&mut self, pool: &Pool, moment: &Moment<'_>) {
        let names: BTreeSet<String> =
            pool.backends.iter().chain(&self.known).map(|backend| backend.name.clone()).collect();
        self.away.retain(|name, _| names.contains(name));
        for name in names {
            if moment.facts.down.contains(&path(&pool.name, &name)) {
                self.away.insert(name, None);
            } else if let Some(since) = self.away.get_mut(&name) {
                since.get_or_insert(moment.now);
            }
        }
    }

    /// What doesn't wait: a failure, and maintenance.
    fn follow_at_once(&mut self, desired: &Desired, pool: &Pool) {
        let other = self.handover.as_mut().map(|handover| &mut handover.other);
        for roster in [&mut self.roster].into_iter().chain(other) {
            for name in self.away.keys() {
                if let Some(member) = roster.member(name) {
                    member.is_away = true;
                }
            }
            for member in &mut roster.members {
                if desired.state(&pool.name, &member.name) == State::Maintenance {
                    member.state = State::Maintenance;
                }
            }
        }
    }

    /// Lets those go home for whom nobody has to move, and those whose time has come.
    fn go_home(
        &mut self,
        desired: &Desired,
        pool: &Pool,
        judge: &mut impl Judge,
        moment: &Moment<'_>,
        news: &mut Vec<News>,
    ) {
        let is_wanted = |name: &str| pool.backends.iter().any(|backend| backend.name == name);
        let held = self.away.keys().filter(|name| self.is_held(name) && is_wanted(name));
        let held: BTreeSet<String> = held.cloned().collect();
        if held.is_empty() {
            return;
        }
        // All together first: where nobody served, those who come back serve together.
        let all: BTreeSet<&str> = held.iter().map(String::as_str).collect();
        let each = held.iter().map(|name| BTreeSet::from([name.as_str()]));
        for names in std::iter::once(all).chain(each) {
            if names.iter().any(|name| !self.away.contains_key(*name)) {
                continue;
            }
            let target = self.target().clone();
            if !costs_nobody(judge, pool, &target, &names) {
                continue;
            }
            *self.target_mut() = target.with_home(&names);
            // By the other roster somebody may have to move for them still; then they stay away in that one.
            if let Some(other) = self.other_than_target()
                && costs_nobody(judge, pool, other, &names)
            {
                *other = other.with_home(&names);
            }
            for name in names {
                self.away.remove(name);
                news.push(News::Home(name.to_owned()));
            }
        }
        if pool.failback == Failback::Manual {
            return;
        }
        for name in held {
            let is_due = self
                .away
                .get(&name)
                .copied()
                .flatten()
                .is_some_and(|since| moment.now.saturating_duration_since(since) >= pool.hold_down);
            let is_fit = desired.state(&pool.name, &name) == State::Active
                && !moment.facts.overloaded.contains(&path(&pool.name, &name));
            if is_due && is_fit {
                self.away.remove(&name);
                news.push(News::GoesHome(name));
            }
        }
    }

    /// The roster that is to be in effect in the end.
    fn target(&self) -> &Roster {
        match &self.handover {
            Some(Handover { phase: Phase::Recording, other, .. }) => other,
            _ => &self.roster,
        }
    }

    fn target_mut(&mut self) -> &mut Roster {
        match &mut self.handover {
            Some(Handover { phase: Phase::Recording, other, .. }) => other,
            _ => &mut self.roster,
        }
    }

    fn other_than_target(&mut self) -> Option<&mut Roster> {
        match &mut self.handover {
            Some(Handover { phase: Phase::Recording, .. }) => Some(&mut self.roster),
            Some(Handover { other, .. }) => Some(other),
            None => None,
        }
    }

    /// What time brings about; `None` when there is nothing more.
    fn turn(&mut self, moment: &Moment<'_>) -> Option<News> {
        let handover = self.handover.as_mut()?;
        let passed = moment.now.saturating_duration_since(handover.since);
        match handover.phase {
            Phase::Recording if passed >= moment.windows.record => {
                std::mem::swap(&mut self.roster, &mut handover.other);
                (handover.phase, handover.is_switched, handover.since) = (Phase::Finishing, true, moment.now);
                Some(News::Switched(handover.moving))
            }
            Phase::Finishing if passed >= moment.windows.finish => {
                self.handover = None;
                Some(News::Finished)
            }
            _ => None,
        }
    }

    /// Makes for what is wanted.
    fn want(
        &mut self,
        wanted: Roster,
        pool: &Pool,
        judge: &mut impl Judge,
        moment: &Moment<'_>,
        last_number: &mut u32,
        news: &mut Vec<News>,
    ) {
        let is_at_once = moment.at_once.contains(&pool.name);
        if wanted == *self.target() && !(is_at_once && self.handover.is_some()) {
            if let Some(handover) = &mut self.handover {
                handover.is_awaited = false;
            }
            return;
        }
        let (to, present) = (judge.owners(pool, &wanted), judge.owners(pool, &self.roster));
        let moving = to.moved(&present).count() as u32;
        if is_at_once || !present.serve() {
            if moving > 0 {
                news.push(News::AtOnce(moving));
            }
            (self.roster, self.handover) = (wanted, None);
            return;
        }
        let since = moment.now;
        let Some(handover) = &mut self.handover else {
            if moving == 0 {
                self.roster = wanted;
                return;
            }
            *last_number = last_number.wrapping_add(1).max(1);
            let (number, phase) = (*last_number, Phase::Recording);
            self.handover = Some(Handover {
                number,
                other: wanted,
                phase,
                is_switched: false,
                since,
                moving,
                is_awaited: false,
            });
            news.push(News::Recording(moving));
            return;
        };
        match handover.phase {
            Phase::Recording if moving == 0 => {
                (self.roster, self.handover) = (wanted, None);
                news.push(News::CalledOff);
            }
            Phase::Recording => {
                // Who moves by the new aim alone was not recorded so far.
                let recorded: Vec<usize> = judge.owners(pool, &handover.other).moved(&present).collect();
                if !to.moved(&present).all(|slot| recorded.binary_search(&slot).is_ok()) {
                    handover.since = since;
                }
                (handover.other, handover.moving) = (wanted, moving);
                news.push(News::Recording(moving));
            }
            Phase::Finishing if moving == 0 => self.roster = wanted,
            Phase::Finishing if to.is_same(&judge.owners(pool, &handover.other)) => {
                handover.other = std::mem::replace(&mut self.roster, wanted);
                (handover.is_switched, handover.since, handover.is_awaited) =
                    (!handover.is_switched, since, false);
                news.push(if handover.is_switched { News::Switched(moving) } else { News::Back(moving) });
            }
            Phase::Finishing => {
                if !handover.is_awaited {
                    news.push(News::Waits);
                }
                handover.is_awaited = true;
            }
        }
    }

    /// Keeps the backends of the rosters, and forgets the others.
    pub(super) fn know(&mut self, pool: &Pool) {
        let is_member =
            |name: &str| self.rosters().flat_map(|roster| &roster.members).any(|member| member.name == name);
        let leaving: Vec<Backend> =
            self.leaving(pool).filter(|backend| is_member(&backend.name)).cloned().collect();
        if !leaving.is_empty() || self.known != pool.backends {
            self.known = pool.backends.iter().cloned().chain(leaving).collect();
        }
    }

    /// When time brings something about next, later than `after`, if nothing else happens.
    pub(super) fn wake(&self, pool: &Pool, windows: Windows, after: Instant) -> Option<Instant> {
        let phase = self.handover.as_ref().map(|handover| {
            handover.since
                + match handover.phase {
                    Phase::Recording => windows.record,
                    Phase::Finishing => windows.finish,
                }
        });
        let held = self.away.values().flatten().filter(|_| pool.failback == Failback::Auto);
        held.map(|since| *since + pool.hold_down).chain(phase).filter(|wake| *wake > after).min()
    }
}

/// Does nobody have to move when these are at home?
fn costs_nobody(judge: &mut impl Judge, pool: &Pool, roster: &Roster, names: &BTreeSet<&str>) -> bool {
    let present = judge.owners(pool, roster);
    judge.owners(pool, &roster.with_home(names)).is_same(&present)
}
