//! The scanner's stages as global functions.
//!
//! The verifier checks a global function once, for any arguments, and trusts that result at every call; inlined stages
//! would be checked again on every path that leads to them, which multiplies to over a million instructions. A call costs
//! 3 to 8 ns. Arguments must be numbers (at most five) and the context, the result one number. Exported and never inlined,
//! or LLVM would specialise them and they would no longer be global.
//!
//! Nothing is decided here: each is a body of `lb_common::sip`.

use crate::{
    maps::SCRATCH,
    packet::{Payload, opaque},
};
use aya_ebpf::bindings::xdp_md;
use lb_common::sip::{
    address, headers, headers::Wanted, list, start_line, uri, uri::Form, user, user::Canonical, via,
};

macro_rules! stages {
    ($($name:ident($message:ident $(, $argument:ident)*) $body:expr;)*) => {
        $(
            #[unsafe(no_mangle)]
            #[inline(never)]
            pub(crate) extern "C" fn $name(ctx: *mut xdp_md, place: u64, zero: u64 $(, $argument: u64)*) -> u64 {
                // LLVM passes nothing for an argument that it sees unused, and the verifier wants a number in each.
                $(let $argument = opaque($argument);)*
                let $message = Payload::unpack(ctx, opaque(place), opaque(zero));
                $body
            }
        )*

        /// One program a stage, so that the verifier's verdict and its count can be had for each alone.
        #[cfg(feature = "alone")]
        mod alone {
            $(
                #[unsafe(export_name = concat!("alone_", stringify!($name)))]
                #[unsafe(link_section = "xdp")]
                extern "C" fn $name(ctx: *mut super::xdp_md) -> u32 {
                    // SAFETY: the kernel hands the program a valid context.
                    let unknown = unsafe { (*ctx).rx_queue_index } as u64;
                    $(let $argument = unknown;)*
                    (super::$name(ctx, unknown, unknown $(, $argument)*) & 1) as u32
                }
            )*
        }
    };
}

stages! {
    sip_start_line(message) start_line::scan(message).0;
    sip_uri(message, at, form)
        uri::scan(message, at, if form == Form::Bare as u64 { Form::Bare } else { Form::Enclosed }).0;
    sip_port(message, at, in_via) uri::port(message, at, in_via != 0);
    sip_host_end(message, at) uri::host_end(message, at);
    sip_has_gr(message, at) uri::has_gr(message, at) as u64;
    sip_user_hash(message, span, seed)
        user::hash(message, span & 0xffff, span >> 16 & 0xffff, (span >> 32) as u8, seed);
    sip_user_plain_length(message, span)
        user::plain_length(message, span & 0xffff, span >> 16 & 0xffff, (span >> 32) as u8);
    sip_user_decode(message, span) match scratch() {
        Some(user) => {
            user::decode(user, message, span & 0xffff, span >> 16 & 0xffff, (span >> 32) as u8);
            1
        }
        None => 0,
    };
    sip_text_hash(message, span, seed) user::hash_text(message, span & 0xffff, span >> 16 & 0xffff, seed);
    sip_headers(message, from, sets) headers::scan(message, from, Wanted(sets & 0xff), Wanted(sets >> 8)).0;
    sip_header_value(message, at) headers::value(message, at);
    sip_token_end(message, at) headers::token_end(message, at);
    sip_address(message, at) address::scan(message, at).0;
    sip_sent_by(message, at) via::sent_by(message, at);
    sip_next_element(message, at, form)
        list::next_element(message, at, if form == Form::Bare as u64 { Form::Bare } else { Form::Enclosed });
}

/// The second half of the stage that `sip_user_decode` begins: the hash of what that has made.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn sip_user_decoded_hash(seed: u64) -> u64 {
    scratch().map_or(0, |user| user.hash(opaque(seed)))
}

/// Room for a user, from one half of the stage to the other.
#[inline(always)]
fn scratch() -> Option<&'static mut Canonical> {
    // SAFETY: the entry belongs to this CPU, programs on one CPU do not interrupt each other, and no stage asks twice.
    SCRATCH.get_ptr_mut(0).map(|user| unsafe { &mut *user })
}
