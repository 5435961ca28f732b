//! The kernel side of tcptrace that is attached: keeps a map of the sockets that are in the watched
//! state now, reports every transition with its owner, and counts how long sockets stay in each
//! state. The walk over descriptors is a program of its own, in `walk`.
#![no_std]
#![no_main]

mod file;
mod filter;
mod iterator;
mod memory;
mod mptcp;
mod pids;
mod settings;
mod sock;
mod tracepoint;
mod track;
mod typed;
mod watch;

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel allows many of the helpers used here only for GPL-compatible programs.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
