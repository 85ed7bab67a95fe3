//! What is reloaded: pairs of files that differ in what operators change.

use std::fmt::Write as _;

/// Groups, and members of each: a primary and its standbys.
const GROUPS: usize = 200;
const MEMBERS: usize = 5;

/// What differs between two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Nothing,
    Address,
    Weight,
    Group,
    Weights,
    Half,
    All,
}

impl Case {
    pub(crate) const ALL: [Self; 7] =
        [Self::Nothing, Self::Address, Self::Weight, Self::Group, Self::Weights, Self::Half, Self::All];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Address => "one backend's address",
            Self::Weight => "one group's weight",
            Self::Group => "one group more, or less",
            Self::Weights => "every group's weight",
            Self::Half => "half of the groups replaced",
            Self::All => "from 1 group to 200, and back",
        }
    }

    /// The two files, without `[node]`.
    pub(crate) fn files(self) -> [String; 2] {
        let all = pool(0..GROUPS, &|_| 100);
        let other = match self {
            Self::Nothing => all.clone(),
            Self::Address => all.replacen("\"10.1.0.1\"", "\"10.2.0.1\"", 1),
            Self::Weight => pool(0..GROUPS, &|group| if group == 7 { 50 } else { 100 }),
            Self::Group => pool(1..GROUPS, &|_| 100),
            Self::Weights => pool(0..GROUPS, &|group| 50 + group as u32),
            Self::Half => pool(GROUPS / 2..GROUPS + GROUPS / 2, &|_| 100),
            Self::All => pool(0..1, &|_| 100),
        };
        [all, other]
    }
}

/// A pool of these groups, whose backends have addresses from `10.1.0.1` on.
fn pool(groups: std::ops::Range<usize>, weight: &dyn Fn(usize) -> u32) -> String {
    let mut text = "[[vip]]\naddress = \"192.0.2.10\"\npool = \"registrars\"\ndomains = [\"example.com\"]\n\
                    [[pool]]\nname = \"registrars\"\n"
        .to_owned();
    for group in groups {
        for member in 0..MEMBERS {
            let host = group * MEMBERS + member + 1;
            let _ = write!(
                text,
                "\n[[pool.backend]]\nname = \"g{group}m{member}\"\naddress = \"10.1.{}.{}\"\ngroup = \"g{group}\"\n\
                 priority = {}\nweight = {}\naliases = [\"g{group}m{member}.sip.example.com\"]\n",
                host / 256,
                host % 256,
                member,
                weight(group)
            );
        }
    }
    text
}
