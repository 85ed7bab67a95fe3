//! Makes members of what names answered. Pure: the same answers make the same members on every node.

use std::collections::BTreeSet;

use super::{DnsError, Target};
use crate::config::{GroupBy, Member, group_of_name};
use crate::source::SourceError;

/// The port that a name of a backend need not say.
const SIP_PORT: u16 = 5060;
/// Heaviest of a group; SRV weights beyond count as that.
const WEIGHT_MAX: u16 = 10_000;
/// Weight of a group whose primary has weight 0: there is nothing to select.
const WEIGHT: u32 = 100;

/// The members, of names with their targets in order.
pub(super) fn members<'a>(
    group_by: GroupBy,
    answers: impl Iterator<Item = (&'a str, &'a [Target])>,
) -> Result<Vec<Member>, SourceError> {
    let mut members = Vec::new();
    for (name, targets) in answers {
        match group_by {
            GroupBy::Target => members.extend(each_a_group(targets)),
            GroupBy::Name => members.extend(one_group(name, targets)?),
        }
    }
    let mut names = BTreeSet::new();
    let checked =
        members.into_iter().filter(|member: &Member| names.insert(member.name.clone())).map(|member| {
            let name = member.name.clone();
            member.checked().map_err(|fault| SourceError::entry(&name, &fault))
        });
    checked.collect()
}

/// The targets of the lowest priority number, a group each. The others are for who finds none of these (RFC 2782), and a
/// standby of all groups is nothing that siplb has.
fn each_a_group(targets: &[Target]) -> impl Iterator<Item = Member> {
    let lowest = targets.iter().map(|target| target.priority).min();
    targets.iter().filter(move |target| Some(target.priority) == lowest).map(|target| {
        let weight = u32::from(target.weight.clamp(1, WEIGHT_MAX));
        Member { weight: Some(weight), ..member(target) }
    })
}

/// All targets in one group: by priority, then the heavier first, then by host.
fn one_group(name: &str, targets: &[Target]) -> Result<Vec<Member>, DnsError> {
    let mut targets: Vec<&Target> = targets.iter().collect();
    targets
        .sort_by_key(|target| (target.priority, std::cmp::Reverse(target.weight), &target.host, target.port));
    let weight = targets.first().map(|primary| u32::from(primary.weight.min(WEIGHT_MAX)));
    let weight = weight.filter(|weight| *weight > 0).unwrap_or(WEIGHT);
    let member = |(rank, target): (usize, &&Target)| {
        let priority = u8::try_from(rank).map_err(|_| DnsError::NoUse {
            name: name.to_owned(),
            why: "it has more than 256 records".to_owned(),
        })?;
        let group = Some(group_of_name(name).to_owned());
        Ok(Member { group, priority, weight: Some(weight), ..member(target) })
    };
    targets.iter().enumerate().map(member).collect()
}

/// A target by its host, and by its port where that is another than SIP's; it may name itself so.
fn member(target: &Target) -> Member {
    let Target { host, port, address, .. } = target;
    let name = if *port == SIP_PORT { host.clone() } else { format!("{host}_{port}") };
    Member { port: *port, aliases: vec![format!("{host}:{port}")], ..Member::new(name, *address) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(priority: u16, weight: u16, host: &str, port: u16, last: u8) -> Target {
        Target { priority, weight, host: host.to_owned(), port, address: [10, 0, 0, last].into() }
    }

    /// Name, group, priority and weight of each.
    fn shown(group_by: GroupBy, answers: &[(&str, &[Target])]) -> Vec<String> {
        let members = members(group_by, answers.iter().copied()).unwrap();
        let show = |member: &Member| {
            let group = member.group.as_deref().unwrap_or("-");
            format!("{} {group} {} {}", member.name, member.priority, member.weight.unwrap())
        };
        members.iter().map(show).collect()
    }

    #[test]
    fn by_target_the_lowest_priority_counts_and_weights_are_the_groups() {
        let targets = [
            target(10, 60, "a.example.com", 5060, 1),
            target(10, 0, "b.example.com", 5070, 2),
            target(10, 40_000, "c.example.com", 5060, 3),
            target(20, 0, "d.example.com", 5060, 4),
        ];
        let expected = ["a.example.com - 0 60", "b.example.com_5070 - 0 1", "c.example.com - 0 10000"];
        assert_eq!(shown(GroupBy::Target, &[("_sip._udp.example.com", &targets)]), expected);
        let members = members(GroupBy::Target, [("n", &targets[..])].into_iter()).unwrap();
        assert_eq!(
            (members[1].port, members[1].aliases.as_slice()),
            (5070, &["b.example.com:5070".to_owned()][..])
        );
    }

    #[test]
    fn by_name_targets_are_primary_and_standbys() {
        let a = [
            target(20, 5, "a3.example.com", 5060, 3),
            target(10, 5, "a2.example.com", 5060, 2),
            target(10, 30, "a1.example.com", 5060, 1),
        ];
        let b = [target(0, 0, "b1.example.com", 5060, 4)];
        let answers: [(&str, &[Target]); 2] =
            [("_sip._udp.a.example.com", &a), ("_sip._udp.b.example.com", &b)];
        assert_eq!(
            shown(GroupBy::Name, &answers),
            [
                "a1.example.com a.example.com 0 30",
                "a2.example.com a.example.com 1 30",
                "a3.example.com a.example.com 2 30",
                "b1.example.com b.example.com 0 100",
            ]
        );
    }

    #[test]
    fn a_host_that_is_no_name_is_refused_with_its_name() {
        let long = format!("{}.example.com", "x".repeat(63));
        let error = members(GroupBy::Target, [("n", &[target(0, 0, &long, 5060, 1)][..])].into_iter());
        assert!(error.unwrap_err().to_string().contains("is not a name"));
    }
}
