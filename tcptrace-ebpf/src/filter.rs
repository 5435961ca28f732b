//! Which sockets are kept. Unused parts of the filter cost nothing, because the verifier removes
//! them.

use tcptrace_common::{MAX_PORTS, MAX_REMOTES, WatchedSocket};

use crate::settings::setting;

/// Whether the user asks about the socket. Unknown values pass; the user side checks again with all
/// details.
#[inline(always)]
pub fn fits(socket: &WatchedSocket) -> bool {
    netns_passes(socket) && family_passes(socket) && port_passes(socket) && remote_passes(socket)
}

/// Whether a filter by port can only be decided when the local port is known.
#[inline(always)]
pub fn port_undecided(socket: &WatchedSocket) -> bool {
    if setting!(filter.port_count) == 0 || socket.local_port != 0 {
        return false;
    }
    !has_port(socket)
}

#[inline(always)]
fn netns_passes(socket: &WatchedSocket) -> bool {
    let wanted = setting!(filter.netns);
    wanted == 0 || socket.netns == 0 || socket.netns == wanted
}

#[inline(always)]
fn family_passes(socket: &WatchedSocket) -> bool {
    let wanted = setting!(filter.family);
    wanted == 0 || u32::from(socket.family) == wanted
}

#[inline(always)]
fn port_passes(socket: &WatchedSocket) -> bool {
    let count = setting!(filter.port_count) as usize;
    // An unbound local port is not known yet: at CLOSE to SYN_SENT the kernel chooses it
    // afterwards.
    if count == 0 || socket.local_port == 0 {
        return true;
    }
    has_port(socket)
}

#[inline(always)]
fn has_port(socket: &WatchedSocket) -> bool {
    let count = setting!(filter.port_count) as usize;
    let mut index = 0;
    while index < MAX_PORTS {
        if index < count {
            let wanted = setting!(filter.ports[index]);
            if socket.local_port == wanted || socket.remote_port == wanted {
                return true;
            }
        }
        index += 1;
    }
    false
}

#[inline(always)]
fn remote_passes(socket: &WatchedSocket) -> bool {
    let count = setting!(filter.remote_count) as usize;
    if count == 0 {
        return true;
    }
    let mut index = 0;
    while index < MAX_REMOTES {
        if index < count {
            let wanted = setting!(filter.remotes[index]);
            let differs = (socket.remote[0] ^ wanted.address[0]) & wanted.mask[0]
                | (socket.remote[1] ^ wanted.address[1]) & wanted.mask[1];
            if differs == 0 {
                return true;
            }
        }
        index += 1;
    }
    false
}
