//! Who serves: the active backend of each group, and which groups keep their slots and take others'.
//!
//! Called by the planner for one pool at a time. Pure, and blind to history.
//!
//! In a group, an active member goes before a draining one, one at home before one that is away, then the lowest priority,
//! then the first by name. Among the groups of a pool there are four cases, the first that applies:
//!
//! 1. Some group has a member that is active, up and at home. Such groups keep their slots and take those of the others.
//! 2. All that is active and up is away: then these serve.
//! 3. All that is up is draining: then the draining serve, rather than nobody.
//! 4. Nothing is up: panic. The slots lie as with all groups up and everything is sent anyway, since checks that fail
//!    everywhere more often mean that this node is cut off than that every server died at once.
//!
//! A group whose serving member has asked for less (a 503) keeps its own slots and takes no others, while another group
//! can. So it is spared, and none of its users is moved. Within a group nobody is passed over for that.
//!
//! With `on-group-down = "drop"` a group that is down keeps its slots and serves nobody, and there is no panic: the
//! operator asked for messages to be dropped. One that is up again serves at once, since nobody stands in for it. What
//! is in maintenance serves in no case.

use super::State;
use crate::config::OnGroupDown;

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name.
    pub name: &'a str,
    /// The lowest serves.
    pub priority: u8,
    /// What the operator wants.
    pub state: State,
    /// What the checks say.
    pub is_up: bool,
    /// Has it failed, and not gone home since?
    pub is_away: bool,
    /// Has it asked for less?
    pub is_overloaded: bool,
}

impl Member<'_> {
    fn can_serve(&self) -> bool {
        self.is_up && self.state != State::Maintenance
    }

    fn is_active(&self) -> bool {
        self.can_serve() && self.state == State::Active
    }
}

/// What becomes of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat<'a> {
    /// Who serves; nobody where the group is down.
    pub active: Option<&'a str>,
    /// Do its slots stay with it?
    pub keeps: bool,
    /// Can it take slots that others don't keep?
    pub takes: bool,
}

/// What becomes of the groups of one pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election<'a> {
    /// One for each group, in the order in which they were given.
    pub seats: Vec<Seat<'a>>,
    /// Is nothing up, and everything sent anyway?
    pub is_panic: bool,
}

/// Decides for the groups of one pool.
pub fn elect<'a>(groups: &[&[Member<'a>]], rule: OnGroupDown) -> Election<'a> {
    let any = |able: &dyn Fn(&Member<'a>) -> bool| groups.iter().copied().flatten().any(able);
    let is_home = |member: &Member<'a>| member.is_active() && !member.is_away;
    let is_panic = rule == OnGroupDown::Remap
        && !any(&|member| member.can_serve())
        && any(&|member| member.state != State::Maintenance);
    let takes: &dyn Fn(&Member<'a>) -> bool = if any(&is_home) {
        &is_home
    } else if any(&Member::is_active) {
        &Member::is_active
    } else if is_panic {
        &|member| member.state != State::Maintenance
    } else {
        &|member| member.can_serve()
    };
    let seat = |group: &&[Member<'a>]| {
        let able = group.iter().filter(|member| if is_panic { takes(member) } else { member.can_serve() });
        let active = able.min_by_key(|member| (member.state, member.is_away, member.priority, member.name));
        let takes = group.iter().any(takes);
        let is_left_to_drop =
            rule == OnGroupDown::Drop && active.is_none_or(|member| member.state == State::Active);
        let is_spared = active.is_some_and(|member| member.is_overloaded);
        let seat = Seat { active: active.map(|member| member.name), keeps: takes || is_left_to_drop, takes };
        (seat, is_spared)
    };
    let seats: Vec<(Seat<'a>, bool)> = groups.iter().map(seat).collect();
    let can_spare = seats.iter().any(|(seat, is_spared)| seat.takes && !is_spared);
    let settled =
        |(seat, is_spared): (Seat<'a>, bool)| Seat { takes: seat.takes && !(is_spared && can_spare), ..seat };
    Election { seats: seats.into_iter().map(settled).collect(), is_panic }
}

#[cfg(test)]
mod tests {
    use super::*;
    use OnGroupDown::{Drop, Remap};
    use State::{Active, Draining, Maintenance};

    fn member(name: &str, priority: u8, state: State, is_up: bool) -> Member<'_> {
        Member { name, priority, state, is_up, is_overloaded: false, is_away: false }
    }

    /// `a1*` serves and its group keeps its slots, `-` is nobody; without `*` the group's slots go elsewhere.
    fn shown(groups: &[&[Member<'_>]], rule: OnGroupDown) -> String {
        let election = elect(groups, rule);
        let seats = election.seats.iter().map(|seat| {
            assert!(seat.keeps || !seat.takes);
            format!("{}{}", seat.active.unwrap_or("-"), if seat.keeps { "*" } else { "" })
        });
        let seats = seats.collect::<Vec<_>>().join(" ");
        if election.is_panic { format!("panic {seats}") } else { seats }
    }

    #[test]
    fn in_a_group_active_goes_before_draining_and_then_priority() {
        for (members, expected) in [
            ([(0, Active, true), (1, Active, true)], "a0* b*"),
            ([(1, Active, true), (0, Active, true)], "a1* b*"),
            ([(0, Active, true), (0, Active, true)], "a0* b*"),
            ([(0, Active, false), (1, Active, true)], "a1* b*"),
            ([(0, Maintenance, true), (1, Active, true)], "a1* b*"),
            ([(0, Draining, true), (1, Active, true)], "a1* b*"),
            ([(0, Draining, true), (1, Active, false)], "a0 b*"),
            ([(0, Draining, true), (1, Draining, true)], "a0 b*"),
            ([(0, Active, false), (1, Maintenance, true)], "- b*"),
        ] {
            let [first, second] = members;
            let group =
                vec![member("a0", first.0, first.1, first.2), member("a1", second.0, second.1, second.2)];
            assert_eq!(shown(&[&group, &[member("b", 0, Active, true)]], Remap), expected, "{members:?}");
        }
    }

    #[test]
    fn a_pool_serves_as_long_as_anything_may() {
        for (a, b, remap, drop) in [
            ((Active, true), (Active, false), "a* -", "a* -*"),
            ((Draining, true), (Active, true), "a b*", "a b*"),
            ((Draining, true), (Active, false), "a* -", "a* -*"),
            ((Draining, true), (Draining, true), "a* b*", "a* b*"),
            ((Active, false), (Active, false), "panic a* b*", "-* -*"),
            ((Active, false), (Draining, false), "panic a* b*", "-* -*"),
            ((Active, false), (Maintenance, true), "panic a* -", "-* -*"),
            ((Maintenance, true), (Maintenance, true), "- -", "-* -*"),
            ((Maintenance, true), (Active, true), "- b*", "-* b*"),
        ] {
            let (a_member, b_member) = ([member("a", 0, a.0, a.1)], [member("b", 0, b.0, b.1)]);
            let groups: [&[Member<'_>]; 2] = [&a_member, &b_member];
            assert_eq!(shown(&groups, Remap), remap, "{a:?} {b:?}");
            assert_eq!(shown(&groups, Drop), drop, "{a:?} {b:?}");
        }
    }

    #[test]
    fn who_is_away_waits_while_anybody_stands_in() {
        let away = |name| Member { is_away: true, ..member(name, 0, Active, true) };
        let home = |name, priority| member(name, priority, Active, true);
        let down = |name| member(name, 0, Active, false);
        for (groups, remap, drop) in [
            ([vec![away("a0"), home("a1", 1)], vec![home("b", 0)]], "a1* b*", "a1* b*"),
            ([vec![away("a0"), down("a1")], vec![home("b", 0)]], "a0 b*", "a0* b*"),
            ([vec![away("a0")], vec![down("b")]], "a0* -", "a0* -*"),
            ([vec![away("a0")], vec![away("b")]], "a0* b*", "a0* b*"),
            ([vec![away("a0"), member("a1", 1, Draining, true)], vec![home("b", 0)]], "a0 b*", "a0* b*"),
            ([vec![away("a0")], vec![member("b", 0, Draining, true)]], "a0* b", "a0* b"),
        ] {
            let members: [&[Member<'_>]; 2] = [&groups[0], &groups[1]];
            assert_eq!(shown(&members, Remap), remap, "{groups:?}");
            assert_eq!(shown(&members, Drop), drop, "{groups:?}");
        }
    }

    #[test]
    fn who_asked_for_less_keeps_its_users_and_takes_nobody_elses_while_others_can() {
        let of = |name, is_up, is_overloaded| [Member { is_overloaded, ..member(name, 0, Active, is_up) }];
        for (b_overloaded, c_overloaded, expected) in [
            (false, false, [true, true]),
            (true, false, [false, true]),
            (false, true, [true, false]),
            (true, true, [true, true]),
        ] {
            let (a, b, c) = (of("a", false, false), of("b", true, b_overloaded), of("c", true, c_overloaded));
            let election = elect(&[&a, &b, &c], Remap);
            assert_eq!([election.seats[1].takes, election.seats[2].takes], expected);
            assert!(election.seats[1].keeps && election.seats[2].keeps && !election.is_panic);
            assert_eq!([election.seats[0].active, election.seats[1].active], [None, Some("b")]);
        }
        // In its own group it serves on, and a standby that asked for less stands in.
        let group = [of("a0", true, true)[0], Member { priority: 1, ..of("a1", true, false)[0] }];
        assert_eq!(elect(&[&group], Remap).seats[0].active, Some("a0"));
        let group = [of("a0", false, false)[0], Member { priority: 1, ..of("a1", true, true)[0] }];
        assert_eq!(elect(&[&group, &of("b", true, false)], Remap).seats[0].active, Some("a1"));
    }
}
