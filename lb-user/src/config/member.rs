//! A backend as a list of a pool's members has it: the file's `[[pool.backend]]`, or a source of the pool.
//!
//! [`backends`] makes backends of members: what one member leaves open, its group or its pool says.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::host;
use super::model::{Backend, OwnPort, Pool};
use super::problem::Fault;
use super::syntax;
use crate::health::Settings;

pub(super) const SIP_PORT: u16 = 5060;
/// The weight of a group that nobody stated one for.
const WEIGHT: u32 = 100;
const WEIGHT_MAX: u32 = 10_000;

/// One member of a pool, with the keys of `[[pool.backend]]` but for `health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Member {
    /// Unique in its pool.
    #[serde(default)]
    pub name: String,
    /// The server's address.
    pub address: IpAddr,
    /// The server's SIP port.
    #[serde(default = "sip_port")]
    pub port: u16,
    /// The group that it is a member of; its own name if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The lowest healthy one in the group serves.
    #[serde(default)]
    pub priority: u8,
    /// Weight of its group; what another member of the group states, or 100, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// Host names, with or without a port, by which the server names itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// A port of the VIP that is this server's alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vip_port: Option<u16>,
    /// Where that leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vip_port_to: Option<u16>,
}

fn sip_port() -> u16 {
    SIP_PORT
}

impl Member {
    /// Of this name and address, with defaults for all else.
    pub fn new(name: impl Into<String>, address: IpAddr) -> Self {
        Self {
            name: name.into(),
            address,
            port: SIP_PORT,
            group: None,
            priority: 0,
            weight: None,
            aliases: Vec::new(),
            vip_port: None,
            vip_port_to: None,
        }
    }

    /// The same with hosts in their usual form, if it is what the file could say too.
    ///
    /// # Errors
    /// With the first value that is not legal.
    pub fn checked(mut self) -> Result<Self, Fault> {
        syntax::name(&self.name)?;
        syntax::address(&self.address.to_string())?;
        self.group.as_deref().map_or(Ok(String::new()), syntax::name)?;
        let ports = [Some(self.port), self.vip_port, self.vip_port_to];
        if ports.contains(&Some(0)) {
            return Err(Fault::new("0 is not a port", "give a port from 1 to 65535"));
        }
        if self.vip_port.is_some() != self.vip_port_to.is_some() {
            return Err(Fault::new("vip-port and vip-port-to go together", "give both, or neither"));
        }
        if let Some(weight) = self.weight.filter(|weight| !(1..=WEIGHT_MAX).contains(weight)) {
            let mend = format!("give a number from 1 to {WEIGHT_MAX}");
            return Err(Fault::new(format!("{weight} is not a weight"), mend));
        }
        self.aliases =
            self.aliases.iter().map(|alias| host::host_and_port(alias)).collect::<Result<_, _>>()?;
        Ok(self)
    }

    fn group(&self) -> &str {
        self.group.as_deref().unwrap_or(&self.name)
    }
}

/// The backends that members of a pool are, in their order.
pub fn backends(members: &[Member], pool: &Pool) -> Vec<Backend> {
    settle(members.iter().map(|member| (member.clone(), pool.health.clone())).collect())
}

/// Gives each backend the weight of its group: its own if it states one, else the first that another member states.
/// Members that state different ones keep them, for the contradiction to be found.
pub(super) fn settle(members: Vec<(Member, Settings)>) -> Vec<Backend> {
    let mut of_group = HashMap::new();
    for (member, _) in &members {
        if let Some(weight) = member.weight {
            of_group.entry(member.group().to_owned()).or_insert(weight);
        }
    }
    let settle = |(member, health): (Member, Settings)| {
        let group = member.group().to_owned();
        let own_port = member.vip_port.zip(member.vip_port_to);
        Backend {
            weight: member.weight.or(of_group.get(&group).copied()).unwrap_or(WEIGHT),
            name: member.name,
            address: member.address,
            port: member.port,
            group,
            priority: member.priority,
            aliases: member.aliases,
            own_port: own_port.map(|(vip_port, port)| OwnPort { vip_port, port }),
            health,
        }
    };
    members.into_iter().map(settle).collect()
}
