//! The kinds of faults: what they are, how each is brought about and mended.

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// The server's process is killed: its host answers that nobody listens.
    Killed,
    /// The process is stopped: its socket takes packets, and nobody answers.
    Stopped,
    /// The server's end of its link goes down.
    LinkDown,
    /// The server's host loses its address: nobody answers, not even to who has the address.
    AddressGone,
    /// siplb's daemon is killed, and no server fails.
    Daemon,
    /// A whole node dies, and another takes its addresses by keepalived.
    Node,
}

/// A fault of a server that has a standby, or has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub(crate) fault: Fault,
    pub(crate) has_standby: bool,
}

impl Kind {
    pub(crate) fn name(self) -> String {
        let what = match self.fault {
            Fault::Killed => "server killed, port closed",
            Fault::Stopped => "server stopped, silent",
            Fault::LinkDown => "server's link down",
            Fault::AddressGone => "server's address gone",
            Fault::Daemon => return "siplb's daemon killed".to_owned(),
            Fault::Node => return "node dead, another by keepalived".to_owned(),
        };
        format!("{what}, {}", if self.has_standby { "with a standby" } else { "no standby" })
    }
}

/// What goes by turns in one lab. Labs run at one time; that of [`Fault::Node`] is in `node`.
pub(crate) struct Plan {
    /// Name of the lab.
    pub(crate) lab: &'static str,
    pub(crate) has_standbys: bool,
    pub(crate) faults: &'static [Fault],
}

/// All of it, in labs that take about as long.
pub(crate) const PLANS: [Plan; 3] = [
    Plan {
        lab: "siplb-bench-failover-quick",
        has_standbys: false,
        faults: &[Fault::Killed, Fault::LinkDown, Fault::Daemon],
    },
    Plan {
        lab: "siplb-bench-failover-silent",
        has_standbys: false,
        faults: &[Fault::Stopped, Fault::AddressGone],
    },
    Plan {
        lab: "siplb-bench-failover-standby",
        has_standbys: true,
        faults: &[Fault::Killed, Fault::Stopped],
    },
];
