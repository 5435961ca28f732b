//! Running a walk, pass after pass, and reading what it wrote.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, Read as _},
    os::fd::{AsFd as _, OwnedFd},
};

use tcptrace_common::{NetnsCounts, SharedSocket, SocketRecord, WalkState};

use crate::source::{
    bpf::{
        single::{Loaded, Prepared},
        syscall,
        types::WalkTypes,
    },
    walk::object::{self, Room, WalkProgram},
};

/// More passes than any process has descriptors for. The limit ends a walk over a table that keeps
/// growing.
const MAX_PASSES: usize = 4096;
/// How often the room may be too small: it grows each time, and so do the sockets.
const MAX_GROWTHS: usize = 8;

/// Sockets with a descriptor in one network namespace, by state: each counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// The namespace's inode number.
    pub netns: u32,
    /// By the state's number.
    pub states: [u64; 16],
}

/// What a walk found.
#[derive(Debug, Default)]
pub struct Walked {
    /// One record for each descriptor of a socket of interest.
    pub records: Vec<SocketRecord>,
    /// The sockets of each namespace.
    pub counted: Vec<Counted>,
    /// Whether some descriptors were not seen.
    pub incomplete: bool,
}

/// A loaded walk.
pub struct Walk {
    program: WalkProgram,
    types: WalkTypes,
    watched_states: u32,
    room: Room,
    loaded: Loaded,
    link: OwnedFd,
    /// How many walks there were.
    walks: u64,
}

impl Walk {
    /// Loads and attaches it; `prepared`, for [`Room::USUAL`], and the types may have been made side by
    /// side.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn load(
        program: WalkProgram,
        prepared: Prepared<'_>,
        types: WalkTypes,
        watched_states: u32,
    ) -> io::Result<Self> {
        let room = Room::USUAL;
        let loaded = object::load(program, prepared, &types, watched_states, room)?;
        let link = syscall::link_iterator(loaded.program.as_fd())?;
        Ok(Self {
            program,
            types,
            watched_states,
            room,
            loaded,
            link,
            walks: 0,
        })
    }

    /// Walks over the descriptors of all processes; with `unix`, Unix sockets in which descriptors wait
    /// are found, too.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn run(&mut self, unix: bool) -> io::Result<Walked> {
        for _ in 0..MAX_GROWTHS {
            let (state, finished) = self.passes(unix)?;
            let Some(room) = self.room.enough_for(&state) else {
                return self.read(&state, finished);
            };
            self.reload(room)?;
        }
        let (state, _) = self.passes(unix)?;
        self.read(&state, false)
    }

    /// Loads it again with other maps.
    fn reload(&mut self, room: Room) -> io::Result<()> {
        let prepared = object::prepare(self.program, room)?;
        let (program, states) = (self.program, self.watched_states);
        self.loaded = object::load(program, prepared, &self.types, states, room)?;
        self.link = syscall::link_iterator(self.loaded.program.as_fd())?;
        self.room = room;
        Ok(())
    }

    /// The kernel's types.
    #[must_use]
    pub fn types(&self) -> &WalkTypes {
        &self.types
    }

    /// Passes until no descriptors are left; returns whether it came to that.
    fn passes(&mut self, unix: bool) -> io::Result<(WalkState, bool)> {
        self.walks += 1;
        let counts = self.loaded.memory("COUNTS")?;
        for index in 0..self.room.namespaces as usize {
            if counts.read::<NetnsCounts>(index) == NetnsCounts::default() {
                break;
            }
            counts.write(index, NetnsCounts::default());
        }
        let mut state = WalkState {
            walk: self.walks,
            unix: unix.into(),
            ..WalkState::default()
        };
        for _ in 0..MAX_PASSES {
            self.loaded.memory("WALK")?.write(0, state);
            let mut iterator = File::from(syscall::open_iterator(self.link.as_fd())?);
            // It gives no output: one read is the whole pass.
            let mut nothing = [0; 64];
            while iterator.read(&mut nothing)? > 0 {}
            state = self.loaded.memory("WALK")?.read(0);
            if state.more == 0 {
                return Ok((state, true));
            }
            (state.more, state.later_pass) = (0, 1);
        }
        Ok((state, false))
    }

    fn read(&mut self, state: &WalkState, finished: bool) -> io::Result<Walked> {
        let count = state.records.min(self.room.records) as usize;
        let records = self.loaded.memory("RECORDS")?;
        let records = (0..count).map(|index| records.read(index)).collect();
        let namespaces = state.namespaces.min(self.room.namespaces) as usize;
        let counts = self.loaded.memory("COUNTS")?;
        let mut counted: Vec<Counted> = (0..namespaces)
            .map(|index| {
                let counts: NetnsCounts = counts.read(index);
                Counted {
                    netns: counts.netns,
                    states: counts.states.map(u64::from),
                }
            })
            .collect();
        let shared = self.loaded.memory("SHARED")?;
        let mut met = HashSet::new();
        for index in 0..state.shared.min(self.room.shared) as usize {
            let socket: SharedSocket = shared.read(index);
            if met.insert(socket.sock)
                && let Some(counted) = counted.get_mut(socket.netns_index as usize)
            {
                counted.states[socket.state as usize & 15] += 1;
            }
        }
        Ok(Walked {
            records,
            counted,
            incomplete: !finished || self.room.enough_for(state).is_some(),
        })
    }
}
