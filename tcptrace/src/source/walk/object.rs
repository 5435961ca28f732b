//! The walk's object, and how much room its maps get.

use std::io;

use tcptrace_common::{
    BriefRecord, NetnsCounts, SharedSocket, SocketRecord, WalkSettings, WalkState,
};

use crate::source::bpf::{
    single::{Kind, Loaded, Prepared, Single},
    types::WalkTypes,
};

/// The programs, as `cargo xtask ebpf` built them.
static OBJECT: &[u8] = aya::include_bytes_aligned!("walk.bpf.o");

/// Maps whose memory this process shares.
const SHARED: [&str; 7] = [
    "WALK", "RECORDS", "BRIEF", "SHARED", "COUNTS", "QUEUE", "MESSAGE",
];

/// The programs of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalkProgram {
    /// Walks descriptors inside the kernel, thread by thread (5.17).
    Tasks,
    /// Runs for each descriptor (5.8).
    Files,
    /// Reads accept queues.
    AcceptQueue,
    /// Reads the descriptors in messages of Unix sockets.
    Messages,
    /// Tells how deeply this process's PID namespace is nested.
    PidLevel,
}

impl WalkProgram {
    fn name(self) -> &'static str {
        match self {
            Self::Tasks => "walk_tasks",
            Self::Files => "walk_files",
            Self::AcceptQueue => "accept_queue",
            Self::Messages => "messages",
            Self::PidLevel => "pid_level",
        }
    }

    /// The kernel's function that stands for what it iterates over.
    #[must_use]
    pub fn iterates(self) -> Option<&'static str> {
        match self {
            Self::Tasks => Some("bpf_iter_task"),
            Self::Files => Some("bpf_iter_task_file"),
            Self::AcceptQueue | Self::Messages | Self::PidLevel => None,
        }
    }
}

/// What a walk is to find.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// A bit for each state, by number; what else is of interest is found, too.
    pub states: u32,
    /// Instead every TCP socket is to be counted.
    pub brief: bool,
    /// With its control group.
    pub with_cgroups: bool,
}

/// How much a walk has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Descriptors of sockets of interest.
    pub records: u32,
    /// Sockets that more than one descriptor refers to.
    pub shared: u32,
    /// Network namespaces.
    pub namespaces: u32,
    /// Tables of descriptors.
    pub tables: u32,
}

impl Room {
    /// For a program that writes none of these.
    pub const NONE: Self = Self {
        records: 1,
        shared: 1,
        namespaces: 1,
        tables: 1,
    };

    /// For an ordinary machine.
    pub const USUAL: Self = Self {
        records: 1024,
        shared: 2048,
        namespaces: 256,
        tables: 4096,
    };

    /// For about so many sockets, if each is counted.
    #[must_use]
    pub fn for_all(sockets: u64) -> Self {
        let sockets = u32::try_from(sockets).unwrap_or(u32::MAX);
        Self {
            records: (sockets.saturating_add(sockets / 8)).max(Self::USUAL.records),
            ..Self::USUAL
        }
    }

    /// Enough for what a walk found, if it was more than there was room for; with a margin, for
    /// there may be more the next time. What earlier walks left in the maps takes room, too: then
    /// the same room does, once it is empty.
    #[must_use]
    pub fn enough_for(self, found: &WalkState) -> Option<Self> {
        let enough = |room: u32, found: u32| {
            if found <= room {
                room
            } else {
                found.saturating_add(found / 4)
            }
        };
        let enough = Self {
            records: enough(self.records, found.records),
            shared: enough(self.shared, found.shared),
            namespaces: enough(self.namespaces, found.namespaces),
            tables: enough(self.tables, found.tables.saturating_mul(2)),
        };
        (enough != self || found.cut_short > 0).then_some(enough)
    }
}

/// Everything for one program that does not depend on the kernel's types.
///
/// # Errors
/// When the kernel refuses a map.
pub fn prepare(program: WalkProgram, wanted: Wanted, room: Room) -> io::Result<Prepared<'static>> {
    let (records, brief) = match wanted.brief {
        false => (room.records, 1),
        true => (1, room.records),
    };
    let single = Single {
        object: OBJECT,
        name: program.name(),
        sizes: vec![
            ("RECORDS", records),
            ("BRIEF", brief),
            ("SHARED", room.shared),
            ("COUNTS", room.namespaces),
            ("TABLES", room.tables),
            ("RESUME", room.tables),
            ("NETNS", room.namespaces),
        ],
        shared: &SHARED,
    };
    single.prepare()
}

/// What one of several readers walks over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Which one, from 0 on.
    pub reader: u32,
    /// How many there are: 1 or 2.
    pub readers: u32,
}

impl Share {
    /// Everything.
    pub const WHOLE: Self = Self {
        reader: 0,
        readers: 1,
    };
}

/// Loads one program.
///
/// # Errors
/// When the kernel refuses it.
pub fn load(
    program: WalkProgram,
    prepared: Prepared<'_>,
    types: &WalkTypes,
    wanted: Wanted,
    room: Room,
    share: Share,
) -> io::Result<Loaded> {
    let settings = WalkSettings {
        watched_states: wanted.states,
        brief: wanted.brief.into(),
        with_cgroups: wanted.with_cgroups.into(),
        max_records: room.records,
        max_shared: room.shared,
        max_namespaces: room.namespaces,
        readers: share.readers,
        reader: share.reader,
        sock: types.sock,
        task: types.task,
        tcp: types.tcp,
    };
    let kind = match program.iterates() {
        Some(_) => Kind::Iterator(types.function.ok_or(io::ErrorKind::Unsupported)?),
        None => Kind::RawTracepoint,
    };
    prepared.load(kind, &settings)
}

/// Loads a program that is no walk.
///
/// # Errors
/// When the kernel refuses a map or the program.
pub fn load_alone(program: WalkProgram, types: &WalkTypes) -> io::Result<Loaded> {
    let nothing = Wanted::default();
    let prepared = prepare(program, nothing, Room::NONE)?;
    load(program, prepared, types, nothing, Room::NONE, Share::WHOLE)
}

// The kernel puts the entries of an array at multiples of 8 bytes.
const _: () = assert!(size_of::<SocketRecord>().is_multiple_of(8));
const _: () = assert!(size_of::<BriefRecord>().is_multiple_of(8));
const _: () = assert!(size_of::<SharedSocket>().is_multiple_of(8));
const _: () = assert!(size_of::<NetnsCounts>().is_multiple_of(8));

#[cfg(test)]
mod tests {
    use tcptrace_common::WalkState;

    use super::Room;

    #[test]
    fn room_grows_only_where_it_was_too_small() {
        let room = Room::USUAL;
        let found = WalkState {
            records: 1024,
            shared: 10_000,
            namespaces: 1,
            ..WalkState::default()
        };
        let more = room.enough_for(&found).expect("too many are shared");
        assert_eq!((more.records, more.namespaces), (1024, 256));
        assert_eq!(more.shared, 12_500);
        assert_eq!(more.enough_for(&found), None);
        let crowded = WalkState {
            cut_short: 1,
            ..WalkState::default()
        };
        assert_eq!(room.enough_for(&crowded), Some(room));
    }
}
