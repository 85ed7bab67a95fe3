//! Random traffic of `cargo xtask bench scale`: what its programs draw before each packet, and where they write it.
//!
//! A test run repeats one frame. The plan lies at the end of that frame, behind what its IP header announces, as padding
//! does: so it needs no map, and two test runs at one time do not share it.

/// What is drawn for each packet of a test run. A count of 1 repeats what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Plan {
    /// State of the generator, never 0.
    pub random: u64,
    /// Nanoseconds that the program itself took, summed up, where [`Plan::is_cold`].
    pub took_ns: u64,
    /// Users; each has eight [`letters`].
    pub users: u32,
    /// Addresses of what is one of several: VIPs of requests, backends of replies.
    pub addresses: u32,
    /// The first of them, as a number.
    pub first_address: u32,
    /// Addresses of clients, and ports of each.
    pub clients: u32,
    /// The first of them, as a number.
    pub first_client: u32,
    /// Offset of the letters in the frame.
    pub user_at: u16,
    /// Offset of the address that is one of several.
    pub address_at: u16,
    /// Offset of the client's address.
    pub client_at: u16,
    /// Offset of the client's port.
    pub client_port_at: u16,
    /// Is everything put out of the nearer caches before each packet?
    pub is_cold: u32,
}

const _: () = assert!(size_of::<Plan>() == 48);

impl Plan {
    /// The plan in the order of its bytes: the kernel has the byte order of this machine.
    pub fn bytes(&self) -> [u8; size_of::<Self>()] {
        let mut bytes = [0; size_of::<Self>()];
        let words = [self.users, self.addresses, self.first_address, self.clients, self.first_client];
        let offsets = [self.user_at, self.address_at, self.client_at, self.client_port_at];
        bytes[..8].copy_from_slice(&self.random.to_ne_bytes());
        bytes[8..16].copy_from_slice(&self.took_ns.to_ne_bytes());
        for (place, word) in bytes[16..36].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        for (place, offset) in bytes[36..44].chunks_exact_mut(2).zip(offsets) {
            place.copy_from_slice(&offset.to_ne_bytes());
        }
        bytes[44..].copy_from_slice(&self.is_cold.to_ne_bytes());
        bytes
    }
}

/// The next state of the generator: xorshift (Marsaglia, 2003), which never comes to 0.
#[inline(always)]
pub const fn next(mut random: u64) -> u64 {
    random ^= random << 13;
    random ^= random >> 7;
    random ^ random << 17
}

/// One of `count`, by 32 random bits.
#[inline(always)]
pub const fn one_of(count: u32, random: u32) -> u32 {
    ((random as u64 * count as u64) >> 32) as u32
}

/// The eight letters of a user, a to p, as they lie in memory: another user, other letters.
#[inline(always)]
pub const fn letters(user: u32) -> u64 {
    let mut digits = user as u64;
    digits = (digits | digits << 16) & 0x0000_ffff_0000_ffff;
    digits = (digits | digits << 8) & 0x00ff_00ff_00ff_00ff;
    digits = (digits | digits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    digits + 0x6161_6161_6161_6161
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn letters_are_letters_and_of_one_user(user: u32, other: u32) {
            let text = letters(user).to_ne_bytes();
            prop_assert!(text.iter().all(|letter| (b'a'..=b'p').contains(letter)), "{text:?}");
            prop_assert_eq!(letters(user) == letters(other), user == other);
        }

        #[test]
        fn what_is_drawn_is_one_of_them(count in 1..u32::MAX, random: u32) {
            prop_assert!(one_of(count, random) < count);
        }
    }

    #[test]
    fn every_one_is_drawn() {
        let (mut random, mut drawn) = (1, [false; 1_000]);
        for _ in 0..20_000 {
            random = next(random);
            drawn[one_of(1_000, random as u32) as usize] = true;
        }
        assert!(drawn.iter().all(|was| *was));
    }

    #[test]
    fn bytes_lie_as_the_kernel_reads_them() {
        let plan = Plan {
            random: 1,
            took_ns: 2,
            users: 3,
            addresses: 4,
            first_address: 5,
            clients: 6,
            first_client: 7,
            user_at: 8,
            address_at: 9,
            client_at: 10,
            client_port_at: 11,
            is_cold: 12,
        };
        let bytes = plan.bytes();
        assert_eq!(bytes[core::mem::offset_of!(Plan, took_ns)], plan.took_ns.to_ne_bytes()[0]);
        assert_eq!(bytes[core::mem::offset_of!(Plan, first_client)], plan.first_client.to_ne_bytes()[0]);
        assert_eq!(bytes[core::mem::offset_of!(Plan, user_at)], plan.user_at.to_ne_bytes()[0]);
        assert_eq!(bytes[core::mem::offset_of!(Plan, client_port_at)], plan.client_port_at.to_ne_bytes()[0]);
        assert_eq!(bytes[core::mem::offset_of!(Plan, is_cold)], plan.is_cold.to_ne_bytes()[0]);
    }
}
