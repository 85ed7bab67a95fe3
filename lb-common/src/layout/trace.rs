//! What `explain` is told.

/// Where the key came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum KeySource {
    /// No key.
    #[default]
    None = 0,
    /// User of the Request-URI.
    RequestUri = 1,
    /// User, or host, of To.
    To = 2,
    /// User of From.
    From = 3,
    /// Call-ID.
    CallId = 4,
    /// Source address and port.
    Source = 5,
    /// Route names the backend.
    Route = 6,
    /// The host of the Request-URI names the backend.
    RequestUriHost = 7,
    /// Via names the backend.
    Via = 8,
    /// The VIP's port is the backend's own.
    VipPort = 9,
    /// The datagram's first fragment.
    Fragment = 10,
    /// The packet that an ICMP error quotes.
    Icmp = 11,
}

impl KeySource {
    /// Every source, by number.
    pub const ALL: [Self; 12] = [
        Self::None,
        Self::RequestUri,
        Self::To,
        Self::From,
        Self::CallId,
        Self::Source,
        Self::Route,
        Self::RequestUriHost,
        Self::Via,
        Self::VipPort,
        Self::Fragment,
        Self::Icmp,
    ];

    /// Those by which a backend is named, from their number; others are [`KeySource::None`].
    #[inline(always)]
    pub(crate) const fn of(number: u8) -> Self {
        match number {
            6 => Self::Route,
            7 => Self::RequestUriHost,
            8 => Self::Via,
            9 => Self::VipPort,
            _ => Self::None,
        }
    }

    /// The name shown to people and machines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::RequestUri => "request-uri",
            Self::To => "to",
            Self::From => "from",
            Self::CallId => "call-id",
            Self::Source => "source",
            Self::Route => "route",
            Self::RequestUriHost => "request-uri-host",
            Self::Via => "via",
            Self::VipPort => "vip-port",
            Self::Fragment => "fragment",
            Self::Icmp => "icmp",
        }
    }
}

/// The one value of the map `TRACE`: what an instance loaded for `explain` says about the packet it ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Trace {
    /// Hash of the key; 0 is none.
    pub hash: u64,
    /// Id of the transaction, while a change moves its key; 0 is none.
    pub transaction: u64,
    /// Generation that was read.
    pub generation: u32,
    /// Number of the VIP; 0 is none.
    pub vip: u32,
    /// Slot; only with a hash.
    pub slot: u32,
    /// Id of the group; 0 is none.
    pub group: u32,
    /// Id of the backend; 0 is none.
    pub backend: u32,
    /// Which rules were passed over: a [`PassedOver`](crate::decide::PassedOver), as a number.
    pub passed: u32,
    /// Offset of the payload in the frame, as it came; 0 is none.
    pub payload: u16,
    /// Offset in the payload of the text that the key was taken from.
    pub key_at: u16,
    /// Offset behind it.
    pub key_end: u16,
    /// Offset in the payload of the method.
    pub method_at: u16,
    /// Offset behind it; equal to `method_at` when there is none.
    pub method_end: u16,
    /// A [`Reason`](crate::reason::Reason), as a number.
    pub reason: u8,
    /// A [`KeySource`], as a number.
    pub source: u8,
    /// A [`Course`](super::Course), as a number.
    pub course: u8,
    /// Padding.
    pub pad: [u8; 3],
}
