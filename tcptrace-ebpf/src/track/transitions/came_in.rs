//! A connection comes in at a listener.

use tcptrace_common::{OwnerRecord, TrackedSocket};

use super::{
    super::{
        read_sock::ReadSock,
        table::{self, Table},
    },
    transition::{LISTEN, SYN_RECV},
};
use crate::{memory::peek, settings::setting};

/// A new socket, made for a connection that came in at a listener. Its addresses are filled in
/// only afterwards (up to 6.12), and its cookie is the listener's until then: the transition is
/// told with the next one, which follows at once.
#[inline(always)]
pub fn came_in(table: &Table, sock: &impl ReadSock, now_ns: u64) {
    if let Some(entry) = table::insert(table, sock.address()) {
        entry.state = SYN_RECV;
        entry.flags = TrackedSocket::HELD_BACK;
        entry.held_from = LISTEN;
        entry.socket.since_ns = now_ns;
        copy_owner_of_listener(table, sock.address(), &mut entry.owners[0]);
    }
}

/// Finds the owner of the listener that a new socket was made for.
///
/// The new socket is a copy of the listener, of which `inet_csk_clone_lock` has reset only some
/// members yet. An empty list in the listener, whose head points to itself, still does so in the
/// copy: `tsq_node` of `struct tcp_sock`, which `tcp_create_openreq_child` resets later.
#[inline(always)]
fn copy_owner_of_listener(table: &Table, child: *const u8, owner: &mut OwnerRecord) {
    let offset = setting!(sock.tsq_node);
    if offset == 0 {
        return;
    }
    let [next, previous] = peek::<[u64; 2]>(child, offset);
    if next != previous {
        return;
    }
    let sock = next.wrapping_sub(u64::from(offset)) as *const u8;
    let Some(entry) = table::get(table, sock) else {
        return;
    };
    let listens = entry.owner();
    if entry.state != LISTEN || listens.known_by == OwnerRecord::UNKNOWN {
        return;
    }
    // SAFETY: two entries of the map do not overlap, which the compiler would allow for by a call.
    unsafe { core::ptr::copy_nonoverlapping(listens, owner, 1) };
    owner.known_by = OwnerRecord::LISTENER;
    // A listener that went away in between may have left its place to another socket.
    let cookie = entry.socket.cookie;
    if u32::from(peek::<u8>(sock, setting!(sock.skc_state))) != LISTEN
        || (cookie != 0 && cookie != peek::<u64>(sock, setting!(sock.skc_cookie)))
    {
        owner.known_by = OwnerRecord::UNKNOWN;
    }
}
