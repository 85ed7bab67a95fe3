//! One look at the network, by which `siplb doctor` judges it: what [`super::watcher`] does again and again.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use thiserror::Error;
use tokio::time::{sleep, timeout};

use super::{
    Network,
    facts::{Facts, Route},
    kernel::{Kernel, KernelError},
    outlook::{Obstacle, outlook},
};

/// The kernel answers at once; an answer that takes this long never comes.
const LIMIT: Duration = Duration::from_secs(5);

/// How often to look again for neighbours that the kernel was told to find, and how long to wait before: a neighbour on
/// the same network answers within milliseconds.
const LOOKS: usize = 4;
const PAUSE: Duration = Duration::from_millis(250);

/// The network around this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Every address of this node, those of the loopback interface included.
    pub local: BTreeSet<IpAddr>,
    /// Interfaces by all of their names.
    pub interfaces: BTreeMap<String, Interface>,
    /// The way to each backend, by its address.
    pub ways: BTreeMap<IpAddr, Way>,
}

/// An interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's number of it.
    pub index: u32,
    /// Is it set up, and does it have a carrier?
    pub is_up: bool,
    /// Longest IP packet that it sends, in bytes; 0 if it doesn't say.
    pub mtu: u32,
}

/// The way to a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// The next router, if the backend is behind one.
    pub router: Option<IpAddr>,
    /// Why there is no next hop, if there is none.
    pub obstructed: Option<Obstructed>,
}

/// Why there is no next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstructed {
    /// A neighbour doesn't say its MAC address: it may be down.
    Unresolved(IpAddr),
    /// By the node's own settings; a sentence about "it".
    Misled(String),
}

/// The kernel could not be asked.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct SurveyError(#[from] KernelError);

/// What the kernel knows now of the network around this node, with the next hops to these backends; nobody is waited for.
///
/// Must be called within a tokio runtime.
///
/// # Errors
/// When rtnetlink is denied to this process, or does not answer.
pub async fn look(interfaces: &[String], backends: &[IpAddr]) -> Result<Network, SurveyError> {
    let kernel = Kernel::open()?;
    let facts = timeout(LIMIT, kernel.look(backends)).await.map_err(|_| KernelError::Silent)??;
    Ok(outlook(&facts, interfaces, backends).network)
}

impl Survey {
    /// Looks at the network namespace that this is called in, for the named interfaces and for these backends. Neighbours
    /// on the way to a backend that the kernel doesn't know are asked for, which takes a second when they are silent.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When rtnetlink is denied to this process.
    pub async fn new(interfaces: &[String], backends: &[IpAddr]) -> Result<Self, SurveyError> {
        let kernel = Kernel::open()?;
        let mut facts = kernel.look(backends).await?;
        let mut found = outlook(&facts, interfaces, backends);
        for &neighbour in &found.idle {
            // Without the privilege the kernel's entries have to do.
            if let Err(error) = kernel.use_neighbour(neighbour).await {
                log::debug!("{} on interface {}: {error}", neighbour.1, neighbour.0);
            }
        }
        for _ in 0..LOOKS {
            if !found.obstacles.values().any(|obstacle| matches!(obstacle, Obstacle::Unresolved(_))) {
                break;
            }
            sleep(PAUSE).await;
            facts = kernel.look(backends).await?;
            found = outlook(&facts, interfaces, backends);
        }
        Ok(Self::from_facts(facts, &found.obstacles, backends))
    }

    fn from_facts(facts: Facts, obstacles: &BTreeMap<IpAddr, Obstacle>, backends: &[IpAddr]) -> Self {
        let way = |backend: &IpAddr| {
            let router = match facts.routes.get(backend) {
                Some(Route::Out { gateway, .. }) => *gateway,
                _ => None,
            };
            let obstructed = obstacles.get(backend).map(|obstacle| match obstacle {
                Obstacle::Unresolved(neighbour) => Obstructed::Unresolved(*neighbour),
                obstacle => Obstructed::Misled(obstacle.to_string()),
            });
            (*backend, Way { router, obstructed })
        };
        let ways = backends.iter().map(way).collect();
        let interfaces = facts.links.iter().flat_map(|(&index, link)| {
            let interface = Interface { index, is_up: link.is_up, mtu: link.mtu };
            link.names.iter().map(move |name| (name.clone(), interface))
        });
        Self { interfaces: interfaces.collect(), ways, local: facts.addresses }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::facts::Link;

    #[test]
    fn a_way_tells_router_and_obstacle() {
        let [near, far, router] = ["10.0.0.2", "10.9.9.9", "10.0.0.254"].map(|text| text.parse().unwrap());
        let mut facts = Facts::default();
        let names = vec!["eth0".to_owned(), "uplink".to_owned()];
        facts.links.insert(3, Link { names, is_up: true, mtu: 1500, ..Link::default() });
        facts.routes.insert(far, Route::Out { link: 3, gateway: Some(router) });
        let obstacles = [(far, Obstacle::Unresolved(router)), (near, Obstacle::NoRoute)].into();
        let survey = Survey::from_facts(facts, &obstacles, &[near, far]);
        assert_eq!(survey.interfaces["uplink"], Interface { index: 3, is_up: true, mtu: 1500 });
        let expected = Way { router: Some(router), obstructed: Some(Obstructed::Unresolved(router)) };
        assert_eq!(survey.ways[&far], expected);
        let misled = Obstructed::Misled("there is no route to it".to_owned());
        assert_eq!(survey.ways[&near], Way { router: None, obstructed: Some(misled) });
    }
}
