//! What the kernel program and user space of siplb must agree on.
//!
//! Both sides compile this crate, so that neither holds a second copy: the SIP scanner and the rules that pick a key
//! ([`sip`], [`decide`]), the hash and the slot ([`hash`], [`slot`]), the checksum update ([`checksum`]), the reasons
//! ([`reason`]) and the bytes of every map ([`layout`]). The modules stand in the order in which a packet meets them.
//!
//! There is no `unsafe` here, no allocation, and nothing that can panic: the kernel's verifier refuses the program
//! otherwise.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod address;
pub mod checksum;
pub mod decap;
pub mod decide;
pub mod hash;
pub mod layout;
pub mod limits;
pub mod load;
pub mod reason;
pub mod sip;
pub mod slot;
mod swar;
pub mod traffic;
