//! Runs the sources of all pools, a task each, and tells what they say. One that fails is asked again, later and later.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{Answer, Family, Source, SourceError, open};
use crate::config::{self, Config};

/// Pause after a first failure; it doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// What a source said.
#[derive(Debug)]
pub struct News {
    /// The pool.
    pub pool: String,
    /// Which of the tasks that the pool has had.
    pub number: u64,
    /// All members, or why not.
    pub answer: Result<Answer, SourceError>,
}

/// The sources that are followed; dropped, they are no more.
#[derive(Debug)]
pub struct Followers {
    news: UnboundedSender<News>,
    tasks: BTreeMap<String, Follower>,
    given: u64,
}

#[derive(Debug)]
struct Follower {
    what: (config::Source, Family),
    number: u64,
    task: JoinHandle<()>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Followers {
    /// That tell their news there.
    pub fn new(news: UnboundedSender<News>) -> Self {
        Self { news, tasks: BTreeMap::new(), given: 0 }
    }

    /// Follows the sources of this configuration, and no others. What is followed already goes on. Must be called within
    /// a tokio runtime.
    pub fn follow(&mut self, config: &Config) {
        self.tasks.retain(|pool, _| config.pool(pool).is_some_and(|pool| pool.source.is_some()));
        for pool in &config.pools {
            let Some(source) = &pool.source else { continue };
            let what = (source.clone(), Family::of(config, pool));
            if self.tasks.get(&pool.name).is_some_and(|follower| follower.what == what) {
                continue;
            }
            self.given += 1;
            let number = self.given;
            let task = tokio::spawn(run(what.clone(), pool.name.clone(), number, self.news.clone()));
            self.tasks.insert(pool.name.clone(), Follower { what, number, task });
        }
    }

    /// Is this of a source that is followed still?
    pub fn is_current(&self, news: &News) -> bool {
        self.tasks.get(&news.pool).is_some_and(|follower| follower.number == news.number)
    }
}

async fn run(what: (config::Source, Family), pool: String, number: u64, news: UnboundedSender<News>) {
    let mut source: Option<Box<dyn Source>> = None;
    let mut pause = PAUSE_MIN;
    loop {
        let answer = match &mut source {
            Some(source) => source.next().await,
            None => match open(&what.0, what.1) {
                Ok(opened) => source.insert(opened).next().await,
                Err(error) => Err(error),
            },
        };
        let has_failed = answer.is_err();
        if news.send(News { pool: pool.clone(), number, answer }).is_err() {
            return;
        }
        if has_failed {
            // Not all nodes of a fleet at one time.
            let part = rand::rng().random_range(0.8..1.2);
            sleep(pause.mul_f64(part)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        } else {
            pause = PAUSE_MIN;
        }
    }
}
