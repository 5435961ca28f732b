//! Histograms in which nothing depends on owners: only sockets in the states asked about are kept,
//! and most transitions are none of our business.

use tcptrace_common::WatchedSocket;

use super::{
    super::{
        seen::Seen,
        table::{self, Table, known},
    },
    count::{self, Stay},
    record::{Told, tell},
    transition::{SYN_RECV, SYN_SENT, Step, describe, fits},
};
use crate::{filter, settings::setting};

/// Whether sockets in that state are not kept.
#[inline(always)]
pub fn leaves_out(state: u32) -> bool {
    setting!(hist.unowned) != 0 && setting!(hist.states) & (1 << (state & 31)) == 0
}

/// Takes a transition in; whether it was of a socket that is asked about.
#[inline(always)]
pub fn changed(table: &Table, seen: &impl Seen, step: &Step) -> bool {
    let (leaves, enters) = (!leaves_out(step.from), !leaves_out(step.to));
    let entry = known(table, seen);
    match entry {
        Some(entry) if entry.state == step.from => {
            let past = entry.step(step.from, step.to, step.now_ns);
            // Only now its addresses are known.
            if step.from == SYN_SENT || step.from == SYN_RECV {
                describe(seen, step.to, true, &mut entry.socket);
            }
            if fits(step.from, step.to, &entry.socket) {
                let stay = Stay {
                    state: step.from,
                    ns: step.now_ns.wrapping_sub(past.since_ns),
                    owned: false,
                    lane: step.lane,
                };
                count::count(entry, &stay);
            }
            if !enters {
                let _ = table.remove(seen.sock() as u64);
            }
            true
        }
        entry => {
            let told = leaves && tell_of(seen, step);
            if enters {
                return enter(table, seen, step) || told;
            }
            if entry.is_some() {
                let _ = table.remove(seen.sock() as u64);
            }
            told
        }
    }
}

/// Since when is not known here: user space may know, for sockets that it listed at the start.
#[inline(never)]
fn tell_of(seen: &impl Seen, step: &Step) -> bool {
    let mut socket = WatchedSocket::default();
    describe(seen, step.to, false, &mut socket);
    let wanted = fits(step.from, step.to, &socket);
    if wanted {
        tell(&Told {
            time_ns: step.now_ns,
            socket: &socket,
            since_ns: 0,
            from: step.from as u8,
            to: step.to as u8,
            flags: 0,
            protocol: step.protocol,
            owner: None,
            caller: None,
        });
    }
    wanted
}

#[inline(always)]
fn enter(table: &Table, seen: &impl Seen, step: &Step) -> bool {
    let mut socket = WatchedSocket::default();
    // What has just come in does not even have a cookie of its own.
    if step.to != SYN_RECV {
        describe(seen, step.to, false, &mut socket);
    }
    if step.to != SYN_RECV && !filter::fits(&socket) {
        return false;
    }
    socket.since_ns = step.now_ns;
    if let Some(entry) = table::fresh(table, seen.sock()) {
        (entry.socket, entry.state) = (socket, step.to);
    }
    true
}
