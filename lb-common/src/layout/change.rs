//! What is kept of the transactions under way while a planned change moves their keys to another backend.

/// Value of the map `TRANSACTIONS`, by the id of a transaction ([`crate::decide::transaction_id`]): where its first request went. One number, so that it is
/// read and written whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Transaction(pub u64);

impl Transaction {
    /// Went to this backend, while this change was in progress.
    #[inline(always)]
    pub const fn new(backend: u32, change: u32) -> Self {
        Self(backend as u64 | (change as u64) << 32)
    }

    /// Id of the backend.
    #[inline(always)]
    pub const fn backend(self) -> u32 {
        self.0 as u32
    }

    /// Number of the change. What an earlier one left counts for nothing.
    #[inline(always)]
    pub const fn change(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// What becomes of a request whose key decides, while a change of its pool is in progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Course {
    /// None of these: no change is in progress, or it is no such request.
    #[default]
    None = 0,
    /// The key stays where it is.
    NotMoving = 1,
    /// The transaction is new: it goes to the key's owner now, and is recorded there.
    Recorded = 2,
    /// The transaction is recorded: it goes where it began.
    Followed = 3,
    /// A CANCEL or an ACK whose INVITE is not recorded, so that it is older than the change: to the owner before.
    Older = 4,
    /// Call-ID or CSeq can't be read: to the owner now.
    Unreadable = 5,
    /// There is no room to record the transaction: to the owner now.
    Full = 6,
}

impl Course {
    /// Every course, by number.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::NotMoving,
        Self::Recorded,
        Self::Followed,
        Self::Older,
        Self::Unreadable,
        Self::Full,
    ];

    /// The name shown to people and machines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::NotMoving => "not-moving",
            Self::Recorded => "recorded",
            Self::Followed => "followed",
            Self::Older => "older",
            Self::Unreadable => "unreadable",
            Self::Full => "full",
        }
    }
}

/// Value of the per-CPU map `CHANGES`, by number of the VIP: requests of keys that move, by their [`Course`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ChangeCounter {
    /// [`Course::Recorded`].
    pub recorded: u64,
    /// [`Course::Followed`].
    pub followed: u64,
    /// [`Course::Older`].
    pub older: u64,
    /// [`Course::Unreadable`].
    pub unreadable: u64,
    /// [`Course::Full`].
    pub full: u64,
}
