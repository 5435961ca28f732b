//! The identity of sockets in a recording.

use crate::model::socket::{Endpoint, Identity, Protocol};

/// The identity of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SocketKey {
    /// The cookie.
    Cookie(u64),
    /// Without one: namespace and both ends.
    Ends(Option<u32>, Endpoint, Endpoint),
}

impl SocketKey {
    /// The key of a socket; `None` for one without a cookie and a port, because the next record
    /// about it cannot be matched to it.
    pub fn of(socket: &Identity) -> Option<Self> {
        match socket.cookie {
            Some(cookie) => Some(Self::Cookie(cookie)),
            None if socket.local.port == 0 => None,
            // An MPTCP connection that has just come in has no remote address yet.
            None if socket.protocol == Protocol::Mptcp && socket.remote.port == 0 => None,
            None => Some(Self::Ends(socket.netns, socket.local, socket.remote)),
        }
    }

    /// The key under which a socket may have been known before a listing added details.
    pub fn earlier(socket: &Identity) -> impl Iterator<Item = Self> {
        let ends = |netns| Self::Ends(netns, socket.local, socket.remote);
        let cookie = socket.cookie.map(Self::Cookie).into_iter();
        cookie.chain([ends(socket.netns), ends(None)])
    }
}
