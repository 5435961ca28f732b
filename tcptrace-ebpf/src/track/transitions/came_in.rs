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

/// A new socket, created for a connection that came in at a listener. The kernel fills in its
/// addresses only afterwards (up to 6.12), and its cookie is the listener's until then. So the
/// transition is reported together with the next one, which follows at once.
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

/// Finds the owner of the listener that a new socket comes from.
///
/// The new socket is a copy of the listener, in which `inet_csk_clone_lock` has only reset some
/// members so far. The head of an empty list points to itself, and in the copy it still points into
/// the listener: `tsq_node` of `struct tcp_sock`, which `tcp_create_openreq_child` resets later.
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
    // After a hand-over, as at the activation of a service by its socket, another process may listen.
    let listens = match table::user(entry) {
        Some(user) => user,
        None => entry.owner(),
    };
    if entry.state != LISTEN || listens.known_by == OwnerRecord::UNKNOWN {
        return;
    }
    // SAFETY: two entries of the map do not overlap. For an assignment the compiler would allow for
    // an overlap with a function call.
    unsafe { core::ptr::copy_nonoverlapping(listens, owner, 1) };
    owner.known_by = OwnerRecord::LISTENER;
    // If the listener is gone by now, another socket may have its address.
    let cookie = entry.socket.cookie;
    if u32::from(peek::<u8>(sock, setting!(sock.skc_state))) != LISTEN
        || (cookie != 0 && cookie != peek::<u64>(sock, setting!(sock.skc_cookie)))
    {
        owner.known_by = OwnerRecord::UNKNOWN;
    }
}
