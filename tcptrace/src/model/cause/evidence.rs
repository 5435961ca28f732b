//! What speaks for a cause, with its figures. The view has the words.

use crate::model::{cause::FollowsFrom, socket::Endpoint, stuck::spread::RecvQueues};

/// So many of so many sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// These.
    pub count: usize,
    /// Of these.
    pub of: usize,
}

impl Share {
    /// Whether it is at least this part, in percent; of none nothing is.
    #[must_use]
    pub fn is_at_least(self, percent: usize) -> bool {
        self.of > 0 && self.count * 100 >= self.of * percent
    }

    /// Whether it is all of them.
    #[must_use]
    pub fn is_all(self) -> bool {
        self.is_at_least(100)
    }
}

/// How the number of sockets of a group changed in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// It did not.
    None,
    /// It grows: so many sockets in so many ns.
    Steady {
        /// Sockets.
        sockets: usize,
        /// In this time.
        within_ns: u64,
    },
    /// It grew, and has been the same for so many ns.
    Plateau {
        /// For so long.
        for_ns: u64,
    },
    /// It falls from time to time, at once, and grows again.
    Sawtooth {
        /// How often it fell.
        falls: usize,
    },
    /// It became less.
    Shrinks,
}

/// Something that speaks for a cause, or about a leak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// How unread bytes are spread: a mix of 0 and 1 shows that nobody looks.
    Unread(RecvQueues),
    /// The process is stopped (`T`) or traced (`t`).
    ProcessStopped,
    /// Its control group is frozen.
    ProcessFrozen,
    /// Its control group was held back in so many of so many periods.
    Throttled {
        /// These.
        throttled: u64,
        /// Of these.
        periods: u64,
    },
    /// So many of those that left went together with others of another age.
    LeftTogether {
        /// Sockets.
        exits: Share,
        /// In so many moments.
        moments: usize,
    },
    /// None of the first look is left.
    NoSurvivor {
        /// So many there were.
        first: usize,
        /// So many ns ago.
        ago_ns: u64,
    },
    /// Bytes were read since the first look.
    BytesRead(Share),
    /// The peer acknowledged bytes since the first look.
    BytesAcked(Share),
    /// They left with their descriptor closed, in this session.
    Served {
        /// So many.
        count: usize,
    },
    /// More came just now: what nobody closes may be collected with memory yet.
    StillGrowing,
    /// They were accepted by another process, in this session.
    AcceptedSince {
        /// So many.
        count: usize,
    },
    /// Threads of the process wait with a time-out of a minute or more: they may end them then.
    WaitsForTime {
        /// These.
        share: Share,
        /// The longest time-out, in ns.
        most_ns: u64,
    },
    /// Threads of the process wait for child processes, which work.
    WaitsForChildren(Share),
    /// None left, and no byte was read, in so many ns.
    NoneServed {
        /// For so long.
        for_ns: u64,
    },
    /// No process has accepted them.
    NeverAccepted(Share),
    /// The listener's queue.
    Queue {
        /// So many wait.
        queued: u32,
        /// So many may.
        backlog: u32,
    },
    /// Some were never accepted, because the process can open no more descriptors.
    NotAcceptedForLackOfDescriptors {
        /// These.
        unaccepted: usize,
    },
    /// Some are accepted and some are not, and there is room for descriptors: whoever accepts is held up.
    AcceptingIsHeldUp {
        /// These are not accepted.
        unaccepted: usize,
    },
    /// More than one process has them open.
    HeldByTwo(Share),
    /// Their holders began after the socket's last data.
    HolderBeganLater(Share),
    /// The listener of their port is open in another process.
    ListenerElsewhere {
        /// This one.
        pid: u32,
    },
    /// No process listens on their port any more: the set cannot grow.
    NoListener,
    /// Their descriptors stay open when the process executes another program.
    NotCloseOnExec(Share),
    /// Not all that was sent has been acknowledged.
    Unacknowledged(Share),
    /// The peer's window is shut: the timer that probes it was doubled so often at most.
    WindowShut {
        /// On these.
        share: Share,
        /// The most.
        doubled: u8,
    },
    /// Not one byte was read of what came.
    NothingRead(Share),
    /// All but the end was read, and nobody has looked since.
    EndNotRead(Share),
    /// All but the end was read, and answered: nobody has looked since.
    AnsweredEndNotRead(Share),
    /// Something came that nobody has read.
    DataNotRead(Share),
    /// All was read, with the end or the last data.
    AllRead(Share),
    /// The last data was sent before the FIN came.
    AnsweredBefore(Share),
    /// Data was sent when the FIN came or later.
    SentSince(Share),
    /// Nothing was ever sent.
    NeverAnswered(Share),
    /// A level-triggered set of `epoll` waits for them.
    Watched(Share),
    /// They are in no set of `epoll`.
    Unwatched(Share),
    /// They are in an edge-triggered set of `epoll`, which says nothing.
    EdgeTriggered(Share),
    /// The process has open connections to one remote.
    ConnectedTo {
        /// This one.
        remote: Endpoint,
        /// So many.
        count: usize,
    },
    /// An answer came that nobody reads.
    AnswerNotRead(Share),
    /// Time between the last data received and the FIN, in ns: on these between both. A least of 0 and a most are
    /// bounds where not `is_exact`.
    FinGap {
        /// On these.
        share: Share,
        /// At least.
        least_ns: u64,
        /// At most.
        most_ns: u64,
    },
    /// How long after the last data the FIN came cannot be told.
    FinGapUnknown(Share),
    /// Their FINs came within so many ns, and they had been used last at moments that are that far apart.
    FinsTogether {
        /// These.
        share: Share,
        /// The FINs.
        within_ns: u64,
        /// The last uses.
        uses_ns: u64,
    },
    /// Nothing was ever received.
    NothingReceived(Share),
    /// Nothing was ever sent as a client.
    NothingSent(Share),
    /// The last data came with the FIN, long after the last send: a goodbye or a late answer.
    CameUnasked(Share),
    /// One exchange on each.
    OneExchange(Share),
    /// Several exchanges on each.
    SeveralExchanges(Share),
    /// They were used at the same time.
    UsedAtOnce(Share),
    /// As many for so long: as many as a pool of that size allows?
    AtOnce {
        /// Sockets.
        count: usize,
        /// For so long, in ns.
        for_ns: u64,
    },
    /// How the group grew.
    Growth(Growth),
    /// The process can open no more descriptors.
    DescriptorsFull {
        /// Open.
        open: u64,
        /// The limit.
        limit: u64,
    },
    /// It began later than the group that it follows from, or may follow from.
    BeganLater {
        /// Which.
        than: FollowsFrom,
        /// By so many ns.
        by_ns: u64,
    },
    /// It may follow from another group: not all speaks for it.
    MayFollowFrom(FollowsFrom),
    /// The other ends are in this group, which reads nothing.
    OtherEndsIn {
        /// This one.
        group: FollowsFrom,
        /// So many.
        count: usize,
    },
    /// The oldest has been there for so many ns only: less than what a slow answer may take.
    TooYoung {
        /// Its age, at least.
        oldest_ns: u64,
    },
    /// Which side of the connections they are is not known.
    RoleUnknown,
    /// So much about the sockets that matters here could not be read.
    NotReadable(Share),
}

/// What would tell more, with the process that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WouldTell {
    /// A second look, or a session: whether any leaves, and whether any byte is read.
    Session,
    /// Whether any leaves at its next use.
    NextUse,
    /// A longer session: whether it grows.
    LongerSession,
    /// What its threads do.
    ThreadDump,
    /// When each was opened and used.
    Log,
    /// Which status the answers had.
    HttpStatus,
    /// Looking as root of the machine: something could not be read.
    Privileges,
    /// Looking at the machine: a recording does not carry it.
    Look,
}
