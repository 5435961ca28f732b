//! Sockets that come and go during a session.

/// How many sockets that pass the filter came into the looks and went out of them, since the start.
/// Those that came and went between two looks are not among them; nor, if the kernel side counts by the
/// whole filter, those that it has seen enter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    /// Sockets that were in the state at the first look, and before it.
    pub found: u64,
    /// Other sockets.
    pub entered: u64,
    /// Sockets of both that left it.
    pub left: u64,
    /// Those of them that the kernel side was not seen to keep.
    pub left_unseen: u64,
}
