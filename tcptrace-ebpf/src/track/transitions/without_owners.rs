//! Histograms in which nothing depends on owners: only sockets in the requested states are kept,
//! and most transitions are irrelevant.

use tcptrace_common::WatchedSocket;

use super::{
    super::{
        read_sock::ReadSock,
        table::{self, Table, known},
    },
    count,
    record::{self, Contents},
    transition::{SYN_RECV, SYN_SENT, Transition, describe},
};
use crate::{filter, settings::setting};

/// Whether sockets in that state are not kept.
#[inline(always)]
pub fn leaves_out(state: u32) -> bool {
    setting!(hist.without_owners) != 0 && setting!(hist.states) & (1 << (state & 31)) == 0
}

/// Handles a transition; returns whether it was of a wanted socket.
#[inline(always)]
pub fn take_in(table: &Table, sock: &impl ReadSock, transition: &Transition) -> bool {
    let (leaves, enters) = (!leaves_out(transition.from), !leaves_out(transition.to));
    let entry = known(table, sock);
    // One that comes in is undecided until its next transition.
    if transition.to != SYN_RECV && transition.is_of_subflow(sock, entry.is_some()) {
        let _ = table.remove(sock.address() as u64);
        return true;
    }
    match entry {
        Some(entry) if entry.state == transition.from => {
            let start = entry.step(transition.from, transition.to, transition.now_ns);
            // Its addresses are only known now.
            if transition.from == SYN_SENT || transition.from == SYN_RECV {
                describe(sock, transition.to, true, &mut entry.socket);
            }
            if transition.is_wanted(&entry.socket) {
                let ns = transition.now_ns.wrapping_sub(start.since_ns);
                count::count(entry, transition, ns, false);
            }
            if !enters {
                let _ = table.remove(sock.address() as u64);
            }
            true
        }
        entry => {
            let written = leaves && write_without_start(sock, transition);
            if enters {
                return enter(table, sock, transition) || written;
            }
            if entry.is_some() {
                let _ = table.remove(sock.address() as u64);
            }
            written
        }
    }
}

/// Writes the record if the filter wants it. The time of entry is not known here; user space may
/// know it for sockets that it listed at the start.
#[inline(never)]
fn write_without_start(sock: &impl ReadSock, transition: &Transition) -> bool {
    let mut socket = WatchedSocket::default();
    describe(sock, transition.to, false, &mut socket);
    let wanted = transition.is_wanted(&socket);
    if wanted {
        record::write(&Contents {
            time_ns: transition.now_ns,
            socket: &socket,
            since_ns: 0,
            from: transition.from as u8,
            to: transition.to as u8,
            flags: transition.flags(),
            protocol: transition.protocol,
            owner: None,
            user: None,
            caller: None,
        });
    }
    wanted
}

#[inline(always)]
fn enter(table: &Table, sock: &impl ReadSock, transition: &Transition) -> bool {
    let mut socket = WatchedSocket::default();
    // A socket that has just come in does not even have its own cookie.
    if transition.to != SYN_RECV {
        describe(sock, transition.to, false, &mut socket);
    }
    if transition.to != SYN_RECV && !filter::fits(&socket) {
        return false;
    }
    socket.since_ns = transition.now_ns;
    if let Some(entry) = table::insert(table, sock.address()) {
        (entry.socket, entry.state) = (socket, transition.to);
    }
    true
}
