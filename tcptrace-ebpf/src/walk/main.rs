//! One pass over the descriptors of all processes, for sockets of every network namespace. A
//! program of its own, so that a single look loads nothing else.
#![no_std]
#![no_main]

mod accept_queue;
mod brief;
mod describe;
mod descriptor;
#[path = "../file.rs"]
mod file;
#[path = "../iterator.rs"]
mod iterator;
mod level;
#[path = "../memory.rs"]
mod memory;
mod messages;
#[path = "../mptcp.rs"]
mod mptcp;
mod output;
#[path = "../pids.rs"]
mod pids;
mod place;
mod settings;
mod walk_files;
mod walk_tasks;

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel allows the helpers used here only for GPL-compatible programs.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
