//! The kernel side of tcptrace: keeps a map of the sockets that are in the watched state now,
//! finds the processes that have them open, and tells every transition with its owner.
#![no_std]
#![no_main]

mod filter;
mod holders;
mod log;
mod settings;
mod sock;
mod tracepoint;
mod watch;

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel lends many of the helpers used here to GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
