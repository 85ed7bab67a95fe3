//! What all pools have in effect, on their way to what is wanted. The daemon's core advances it on every event, and when
//! [`Courses::wake`] says so.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::Desired;
use super::handover::{Course, Judge, Moment, News, Windows};
use super::roster::Roster;
use crate::config::Backend;

/// The courses of all pools.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Courses {
    by_pool: BTreeMap<String, Course>,
    /// The number of the last handover; numbers are not used again while records of theirs can be left.
    pub(super) last_number: u32,
}

impl Courses {
    /// As they were stored.
    pub fn resumed(by_pool: BTreeMap<String, Course>, last_number: u32) -> Self {
        Self { by_pool, last_number }
    }

    /// The course of a pool.
    pub fn of(&self, pool: &str) -> Option<&Course> {
        self.by_pool.get(pool)
    }

    /// All courses, by pool.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Course)> {
        self.by_pool.iter().map(|(pool, course)| (pool.as_str(), course))
    }

    /// The number of the last handover.
    pub fn last_number(&self) -> u32 {
        self.last_number
    }

    /// What is wanted, and besides it the backends that are leaving, if any are.
    pub fn effective<'a>(&self, desired: &'a Desired) -> Cow<'a, Desired> {
        let mut effective = Cow::Borrowed(desired);
        for (index, pool) in desired.config.pools.iter().enumerate() {
            let Some(course) = self.by_pool.get(&pool.name) else { continue };
            for backend in course.leaving(pool) {
                let group = pool.backends.iter().find(|known| known.group == backend.group);
                let weight = group.map_or(backend.weight, |known| known.weight);
                effective.to_mut().config.pools[index].backends.push(Backend { weight, ..backend.clone() });
            }
        }
        effective
    }

    /// Takes what is wanted and known now.
    pub fn advance(
        &mut self,
        desired: &Desired,
        judge: &mut impl Judge,
        moment: &Moment<'_>,
    ) -> Vec<(String, News)> {
        let pools = &desired.config.pools;
        self.by_pool.retain(|name, _| pools.iter().any(|pool| pool.name == *name));
        let mut news = Vec::new();
        for pool in pools {
            let course = self.by_pool.entry(pool.name.clone()).or_insert_with(|| Course::of(desired, pool));
            let happened = course.advance(desired, pool, judge, moment, &mut self.last_number);
            news.extend(happened.into_iter().map(|happened| (pool.name.clone(), happened)));
        }
        news
    }

    /// Ends the handovers of all pools that backends are leaving: these leave at once, and who is wanted serves.
    pub fn part(&mut self, desired: &Desired) -> Vec<(String, News)> {
        let mut news = Vec::new();
        for pool in &desired.config.pools {
            let Some(course) = self.by_pool.get_mut(&pool.name) else { continue };
            if course.leaving(pool).next().is_some() {
                course.roster = Roster::of(desired, pool, |name| course.away.contains_key(name));
                let moving = course.handover.take().map_or(0, |handover| handover.moving);
                course.know(pool);
                news.push((pool.name.clone(), News::AtOnce(moving)));
            }
        }
        news
    }

    /// Lets a backend go home without waiting. Says whether it was held.
    pub fn release(&mut self, pool: &str, name: &str) -> bool {
        self.by_pool.get_mut(pool).is_some_and(|course| course.release(name))
    }

    /// When [`Courses::advance`] has to be called if nothing happens before; `after` is when it was called last. What was due
    /// then and could not be done waits for something else than time.
    pub fn wake(&self, desired: &Desired, windows: Windows, after: Instant) -> Option<Instant> {
        let wakes = desired.config.pools.iter().filter_map(|pool| {
            self.by_pool.get(&pool.name).and_then(|course| course.wake(pool, windows, after))
        });
        wakes.min()
    }

    /// Numbers of the handovers under way.
    pub fn numbers(&self) -> BTreeSet<u32> {
        self.by_pool.values().filter_map(|course| Some(course.handover.as_ref()?.number)).collect()
    }
}
