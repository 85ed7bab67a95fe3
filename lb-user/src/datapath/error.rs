//! What can go wrong with the kernel program, each with what to do about it.

use std::{io, path::PathBuf};

use super::xdp_on::Program;

/// The program could not be loaded, or what is pinned could not be adopted.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The place for pins is not on a BPF file system.
    #[error("{path} is not on a BPF file system: run `mount -t bpf bpf /sys/fs/bpf`, or mend pin-dir")]
    NotBpffs {
        /// The pin folder.
        path: PathBuf,
    },
    /// A folder can't be made.
    #[error("{path} can't be made: {source}; run as root, or mend pin-dir")]
    Unwritable {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another daemon has it open.
    #[error(
        "another siplb runs the datapath below {path}: stop it first, or give this one a pin-dir of its own"
    )]
    InUse {
        /// The pin folder.
        path: PathBuf,
    },
    /// Pinned maps have other sizes.
    #[error(
        "the pinned maps have room for {pinned} {what}, the configuration wants {wanted}: \
         run `siplb detach` first (traffic stops until the next start), or put [limits] back"
    )]
    Sizes {
        /// Which limit.
        what: &'static str,
        /// What the pins have.
        pinned: u32,
        /// What the configuration says.
        wanted: u32,
    },
    /// Pinned maps were made by another layout.
    #[error(
        "the pinned maps have layout {pinned}, this siplb has {wanted}: run `siplb detach` with the siplb that made them"
    )]
    Abi {
        /// The pins' number.
        pinned: u32,
        /// Ours.
        wanted: u32,
    },
    /// The kernel lets us load nothing.
    #[error(
        "the kernel does not permit loading BPF programs: run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
    )]
    NotPermitted,
    /// The kernel refused the program.
    #[error("the kernel refused the program: {reason}; siplb needs Linux 6.1 or newer, this is {release}")]
    Refused {
        /// The last words of the verifier, or the system's.
        reason: String,
        /// The running kernel.
        release: String,
    },
    /// Anything else.
    #[error(transparent)]
    Other(#[from] DatapathError),
}

/// The program could not be attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// No such interface.
    #[error("there is no interface {interface}: mend node.interfaces, or create it first")]
    NoInterface {
        /// Its name.
        interface: String,
    },
    /// Another program is there.
    #[error(
        "{interface} already carries the XDP program {program}: remove it by `ip link set {interface} xdp off`, or by the tool that attached it (another siplb: `siplb detach`)"
    )]
    Occupied {
        /// Name of the interface.
        interface: String,
        /// The program that is there.
        program: Program,
    },
    /// The driver can't do the mode.
    #[error("the driver of {interface} can't run XDP in {mode} mode: {source}; {mend}")]
    Mode {
        /// Name of the interface.
        interface: String,
        /// What was asked for.
        mode: super::Mode,
        /// What the system says.
        source: io::Error,
        /// What to do.
        mend: &'static str,
    },
    /// The kernel gave an attachment that does not outlive the daemon.
    #[error("the kernel has no BPF links for XDP on {interface}: siplb needs Linux 6.1 or newer")]
    NoLink {
        /// Name of the interface.
        interface: String,
    },
    /// Anything else.
    #[error(transparent)]
    Other(#[from] DatapathError),
}

/// What `siplb decap` was asked for could not be done.
#[derive(Debug, thiserror::Error)]
pub enum DecapError {
    /// No such interface.
    #[error("there is no interface {interface}: `ip link` lists those of this machine")]
    NoInterface {
        /// Its name.
        interface: String,
    },
    /// The program could not be loaded.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It could not be attached, or anything else.
    #[error(transparent)]
    Attach(#[from] AttachError),
}

/// A call to the kernel failed that should not.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct DatapathError {
    what: String,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl DatapathError {
    /// Says what was being done.
    pub(super) fn new(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { what: what.into(), source: source.into() }
    }
}

/// Says what was being done when a call fails.
pub(super) trait Doing<T> {
    fn doing(self, what: &str) -> Result<T, DatapathError>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> Doing<T> for Result<T, E> {
    fn doing(self, what: &str) -> Result<T, DatapathError> {
        self.map_err(|source| DatapathError::new(what, source))
    }
}
