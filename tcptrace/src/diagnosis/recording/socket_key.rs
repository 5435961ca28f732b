//! What tells the sockets of a recording apart.

use crate::model::socket::{Endpoint, Identity};

/// What tells sockets apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SocketKey {
    /// The cookie.
    Cookie(u64),
    /// Without one: namespace and both ends.
    Ends(Option<u32>, Endpoint, Endpoint),
}

impl SocketKey {
    /// That of a socket; `None` for one without a cookie that has no port yet: nothing tells which one the next
    /// record about it means.
    pub fn of(socket: &Identity) -> Option<Self> {
        match socket.cookie {
            Some(cookie) => Some(Self::Cookie(cookie)),
            None if socket.local.port == 0 => None,
            None => Some(Self::Ends(socket.netns, socket.local, socket.remote)),
        }
    }

    /// By what a socket may have been known before, where listing it tells more than tracing did.
    pub fn earlier(socket: &Identity) -> impl Iterator<Item = Self> {
        let ends = |netns| Self::Ends(netns, socket.local, socket.remote);
        let cookie = socket.cookie.map(Self::Cookie).into_iter();
        cookie.chain([ends(socket.netns), ends(None)])
    }
}
