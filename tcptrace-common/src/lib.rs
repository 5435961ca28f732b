//! What the kernel side and the user side of tcptrace share: TCP states, the layout of map
//! entries and iterator records, the buckets of histograms, and the settings that are fixed when the
//! programs are loaded.
#![no_std]

mod buckets;
mod ending;
mod histogram;
mod settings;
mod state;
mod track;
mod walk;
mod watch;

pub use buckets::{BUCKETS_PER_DECADE, Bucket, DECADES, LONGEST_NS, SHORTEST_NS};
pub use ending::{Ending, SockAtEnd, has_other_ends};
pub use histogram::{
    COUNTING_PROGRAMS, Decade, DecadeKey, HistKey, UNKEYED_DECADES, unkeyed_index,
};
pub use settings::{
    ADDRESS_BYTES, EntryOffsets, HistSettings, KernelFilter, MAX_COMMS, MAX_PORTS, MAX_REMOTES,
    PidNumbers, Prefix, Settings, SockOffsets, TaskOffsets, TracepointOffsets, TrackSettings,
};
pub use state::TcpState;
pub use track::{
    OwnerRecord, Passes, StateStart, TrackCounters, TrackedSocket, TransitionRecord,
    UsedTransitionRecord,
};
pub use walk::{
    BriefRecord, MessageStep, NetnsCounts, NetnsIndex, QueueStep, ResumePoint, SharedSocket,
    SocketRecord, TcpOffsets, WalkSettings, WalkState, WalkedTable,
};
pub use watch::{KnownAtEntry, WatchCounters, WatchedEntry, WatchedExit, WatchedSocket};

/// `AF_UNIX` of `include/linux/socket.h`.
pub const AF_UNIX: u16 = 1;
/// `AF_INET` of `include/linux/socket.h`.
pub const AF_INET: u16 = 2;
/// `AF_INET6` of `include/linux/socket.h`.
pub const AF_INET6: u16 = 10;
/// `IPPROTO_TCP` of `include/uapi/linux/in.h`.
pub const IPPROTO_TCP: u16 = 6;
/// `IPPROTO_MPTCP` of `include/uapi/linux/in.h`.
pub const IPPROTO_MPTCP: u16 = 262;
