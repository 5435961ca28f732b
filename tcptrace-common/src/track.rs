use core::ptr::write_volatile;

use crate::{COUNTING_PROGRAMS, Ending, TcpState, WatchedSocket};

/// A process at the moment at which it got a socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerRecord {
    /// The process (thread group), as the PID namespace that tcptrace runs in numbers it; 0 for none, and
    /// for one outside of it.
    pub pid: u32,
    /// The thread; 0 if none did it.
    pub tid: u32,
    /// When the process started, in ns of `CLOCK_BOOTTIME`; 0 without type information.
    pub started_ns: u64,
    /// Id of its control group, or 0.
    pub cgroup: u64,
    /// Name of its main thread, NUL-padded; it may contain any bytes.
    pub comm: [u64; 2],
    /// How the owner is known: one of the constants below.
    pub known_by: u32,
    /// 1 when the filter wants this owner's sockets.
    pub wanted: u32,
}

impl OwnerRecord {
    /// It is not known.
    pub const UNKNOWN: u32 = 0;
    /// It connected.
    pub const CONNECT: u32 = 1;
    /// It accepted.
    pub const ACCEPT: u32 = 2;
    /// It listens on this very socket.
    pub const LISTEN: u32 = 3;
    /// It listens where this socket came in.
    pub const LISTENER: u32 = 4;
    /// It has a descriptor of it.
    pub const FD: u32 = 5;
    /// It made a system call on it.
    pub const CALL: u32 = 6;

    /// Whether both are the same process, whatever it was called.
    #[inline(always)]
    #[must_use]
    pub fn is_process(&self, other: &Self) -> bool {
        self.pid == other.pid && self.started_ns == other.started_ns
    }
}

/// A socket as a log follows it: the value of the maps `TRACKED`, whose key is the address of the
/// kernel's `struct sock`.
///
/// Transitions of one socket never run at the same time, because the kernel holds its lock. Two others may
/// run concurrently: an accepting process, which writes `owners[1]` and then `handed_over`; and a pass over
/// all descriptors, which writes `owners[2]` and the numbers of passes. Passes follow each other after a
/// while, and one does not write a holder over another: see `track/seed.rs` of the kernel side.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackedSocket {
    /// Which socket; `since_ns` is when it entered `state`.
    pub socket: WatchedSocket,
    /// The [`TcpState`](crate::TcpState) that it is in.
    pub state: u32,
    /// [`Self::BEFORE`], [`Self::HELD_BACK`] and [`Self::SUBFLOW`], and the state that
    /// [`Self::residue_of`] gives.
    pub flags: u32,
    /// The state that it left by the transition that is held back.
    pub held_from: u32,
    /// Which of the owners is valid: 1 once the second one is.
    pub handed_over: u32,
    /// When it entered `held_from`, or 0.
    pub held_since_ns: u64,
    /// The number of the key that its durations are counted by, once known: see
    /// `track/transitions/count.rs` of the kernel side.
    pub key: u64,
    /// If its opener does not use it any more, but the process in `owners[0]`, which has made a call on it:
    /// one more than the number of the last pass before that call. Otherwise 0.
    pub taken_over: u32,
    /// The last pass that found it in its owner's table of descriptors.
    pub owner_pass: u32,
    /// The last pass that found it in the table of `owners[2]`; 0 if none is there.
    pub holder_pass: u32,
    /// The last pass that found it in tables of several other processes, or in another one's than before.
    pub others_pass: u32,
    /// The listener's owner, until it is accepted, and then who has taken it over; its owner, who accepted
    /// or connected it or listens; and the last process that a pass found it with, apart from its owner.
    pub owners: [OwnerRecord; 3],
}

/// When a socket entered the state that it leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateStart {
    /// In ns of `CLOCK_MONOTONIC`; 0 if unknown.
    pub since_ns: u64,
    /// Whether it may have been earlier.
    pub or_before: bool,
}

impl TrackedSocket {
    /// It was in `state` before tracing began: `since_ns` is the latest moment at which it can have
    /// entered.
    pub const BEFORE: u32 = 1;
    /// Its first transition has not been reported yet, because its addresses were not known.
    pub const HELD_BACK: u32 = 2;
    /// It listens as the subflow of an MPTCP listener: it is only followed so that those who come in
    /// find their listener's owner.
    pub const SUBFLOW: u32 = 4;

    /// Where [`Self::residue_of`] is in `flags`.
    const RESIDUE_SHIFT: u32 = 8;

    /// The state out of which it was reset while a process had it open. It stays in the table until
    /// the process closes it, or uses it again.
    #[must_use]
    pub fn residue_of(&self) -> Option<TcpState> {
        TcpState::from_number((self.flags >> Self::RESIDUE_SHIFT) as u8)
    }

    /// Records that it was reset out of this state while a process had it open.
    #[inline(always)]
    pub fn set_residue_of(&mut self, from: u32) {
        self.flags |= (from & 0xff) << Self::RESIDUE_SHIFT;
    }

    /// The valid owner.
    #[inline(always)]
    #[must_use]
    pub fn owner(&self) -> &OwnerRecord {
        &self.owners[(self.handed_over & 1) as usize]
    }

    /// Records that a pass over all descriptors has found it with this process.
    ///
    /// If only one process apart from the owner has it, that one is kept. In the place of one that was kept
    /// before, it is kept in the next pass: a transition may be reading the former.
    #[inline(always)]
    pub fn found_with(&mut self, holder: &OwnerRecord, pass: u32) {
        if holder.is_process(self.owner()) {
            self.owner_pass = pass;
        } else if self.holder_pass != 0 && holder.is_process(&self.owners[2]) {
            self.holder_pass = pass;
        } else if self.holder_pass != 0 {
            if self.holder_pass != pass {
                self.holder_pass = 0;
            }
            self.others_pass = pass;
        } else if self.others_pass != pass {
            // SAFETY: a reference is valid for writes. Volatile ones stay in order.
            unsafe {
                write_volatile(&mut self.owners[2], *holder);
                write_volatile(&mut self.key, 0);
                write_volatile(&mut self.holder_pass, pass);
            }
        }
    }

    /// Records that its owner's place is taken by this process, which has made a call on it after the last
    /// complete pass with this number.
    #[inline(always)]
    pub fn taken_over_by(&mut self, user: &OwnerRecord, last_pass: u32) {
        self.owners[0] = *user;
        self.owners[0].known_by = OwnerRecord::CALL;
        self.taken_over = last_pass.wrapping_add(1);
        self.key = 0;
    }

    /// Records that its owner has made a call on it, likewise: so the owner has it.
    #[inline(always)]
    pub fn used_by_owner(&mut self, last_pass: u32) {
        (self.taken_over, self.owner_pass, self.key) = (0, last_pass, 0);
    }

    /// The process that has taken it over from its owner: the only one that the last complete pass over
    /// descriptors found it with, or the last one that has made a call on it since.
    #[inline(always)]
    #[must_use]
    pub fn user(&self, last_pass: u32) -> Option<&OwnerRecord> {
        let alone = self.holder_pass != 0
            && self.holder_pass >= last_pass
            && self.owner_pass < last_pass
            && self.others_pass < last_pass
            // It may have become the owner since.
            && !self.owners[2].is_process(self.owner());
        if alone && self.taken_over < last_pass {
            Some(&self.owners[2])
        } else if self.taken_over != 0 {
            Some(&self.owners[0])
        } else {
            None
        }
    }

    /// Records a transition, and returns what is known about the state that the socket leaves.
    ///
    /// If the recorded state differs from the state that the socket leaves, a transition was
    /// missed, and with it the time at which the socket entered this state.
    #[inline(always)]
    pub fn step(&mut self, from: u32, to: u32, now_ns: u64) -> StateStart {
        let past = if self.state == from {
            StateStart {
                since_ns: self.socket.since_ns,
                or_before: self.flags & Self::BEFORE != 0,
            }
        } else {
            StateStart::default()
        };
        self.state = to;
        self.flags &= !(Self::BEFORE | 0xff << Self::RESIDUE_SHIFT);
        self.socket.since_ns = now_ns;
        past
    }
}

/// One transition, as the kernel side writes it into the ring buffer `TRANSITIONS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransitionRecord {
    /// When, in ns of `CLOCK_MONOTONIC`.
    pub time_ns: u64,
    /// Which socket; `since_ns` is when it entered the state that it left, or 0.
    pub socket: WatchedSocket,
    /// The [`TcpState`](crate::TcpState) that it left.
    pub from: u8,
    /// The one that it entered.
    pub to: u8,
    /// [`Self::OR_BEFORE`] and [`Self::UNACCEPTED`], and what [`Self::ending`] gives.
    pub flags: u16,
    /// `IPPROTO_TCP` or `IPPROTO_MPTCP`.
    pub protocol: u16,
    /// Nothing.
    pub reserved: u16,
    /// The owner.
    pub owner: OwnerRecord,
    /// Process and thread whose system call caused it; 0 if none did.
    pub caller_pid: u32,
    /// See `caller_pid`.
    pub caller_tid: u32,
    /// The calling process's name.
    pub caller_comm: [u64; 2],
}

impl TransitionRecord {
    /// It may have entered the state that it left before `since_ns`.
    pub const OR_BEFORE: u16 = 1;
    /// No process has a descriptor of it.
    pub const UNACCEPTED: u16 = 2;
    /// Where the number of the [`Ending`] is in `flags`.
    pub const ENDING_SHIFT: u32 = 8;

    /// How its stay in the state that it left ended.
    #[must_use]
    pub const fn ending(&self) -> Ending {
        Ending::from_number((self.flags >> Self::ENDING_SHIFT) as u8)
    }
}

/// The same about a socket that another process than its owner uses.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsedTransitionRecord {
    /// The transition.
    pub transition: TransitionRecord,
    /// The user.
    pub user: OwnerRecord,
}

/// The passes over all descriptors: numbers from 1 on.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passes {
    /// The one that goes on, or will.
    pub current: u32,
    /// The last complete one.
    pub last: u32,
}

/// What a log and histograms count, one copy for each CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackCounters {
    /// Transitions written.
    pub written: u64,
    /// Transitions that did not fit into the ring buffer.
    pub lost: u64,
    /// Sockets that could not be kept because the table was full or the kernel was out of memory.
    pub untracked: u64,
    /// The addresses of the `struct sock` of the last of these sockets. For the kernel side only.
    pub untracked_socks: [u64; Self::UNTRACKED_SOCKS],
    /// Transitions for which the first program did not run, but the second program did.
    pub told_by_stand_in: u64,
    /// Children of followed processes that did not fit into the list.
    pub unfollowed: u64,
    /// Durations counted in histograms.
    pub counted: u64,
    /// Those whose key found no room, and that are counted without it.
    pub unkeyed: u64,
    /// The number of keys that each program has numbered on this CPU.
    pub numbered: [u64; COUNTING_PROGRAMS as usize],
    /// [`Self::NO_KEYS`] and [`Self::NO_DECADES`]: the maps that are full.
    pub full: u64,
}

impl TrackCounters {
    /// More than the number of sockets that find no room during one interruption of a program.
    pub const UNTRACKED_SOCKS: usize = 16;
    /// No room for more keys: keys are never removed.
    pub const NO_KEYS: u64 = 1;
    /// No room for more decades, likewise.
    pub const NO_DECADES: u64 = 2;
}

// SAFETY: only integers without padding (the sizes are checked below), so every bit pattern is a
// value.
#[cfg(feature = "user")]
unsafe impl aya::Pod for TrackedSocket {}
// SAFETY: as above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for TransitionRecord {}
// SAFETY: as above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for UsedTransitionRecord {}
// SAFETY: as above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Passes {}
// SAFETY: as above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for TrackCounters {}

const _: () = assert!(size_of::<OwnerRecord>() == 48);
const _: () = assert!(size_of::<TrackedSocket>() == 64 + 16 + 16 + 16 + 3 * 48);
const _: () = assert!(size_of::<UsedTransitionRecord>() == size_of::<TransitionRecord>() + 48);
const _: () = assert!(size_of::<TransitionRecord>() == 8 + 64 + 8 + 48 + 24);
