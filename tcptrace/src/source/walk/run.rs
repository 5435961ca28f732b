//! Running a walk, pass after pass, and reading what it wrote.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, Read as _},
    os::fd::{AsFd as _, OwnedFd},
    panic::resume_unwind,
    thread,
};

use tcptrace_common::{BriefRecord, NetnsCounts, SharedSocket, SocketRecord, TcpState, WalkState};

use crate::source::{
    bpf::{
        mapping::Mapping,
        single::{Loaded, Prepared},
        syscall,
        types::WalkTypes,
    },
    walk::object::{self, Room, Share, WalkProgram, Wanted},
};

/// More passes than any process has descriptors for. The limit ends a walk over a table that keeps
/// growing.
const MAX_PASSES: usize = 4096;
/// How often the room may be too small: it grows each time, and so do the sockets.
const MAX_GROWTHS: usize = 8;
/// From so many sockets on two readers share the descriptors: a second one takes 1.5 ms to load, and
/// saves that with fewer.
const MANY: u64 = 16_384;

/// Numbers of sockets, by the state's number.
pub type States = [u64; 16];

/// All but the closed ones.
#[must_use]
pub fn open(states: &States) -> u64 {
    let all: u64 = states.iter().sum();
    all - states[usize::from(TcpState::Close.number())]
}

/// Sockets with a descriptor in one network namespace, by state: each counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// The namespace's inode number.
    pub netns: u32,
    /// One of its sockets.
    pub example: Example,
    /// By the state's number.
    pub states: States,
}

impl Counted {
    /// How many are open.
    #[must_use]
    pub fn open(&self) -> u64 {
        open(&self.states)
    }

    /// How many are closed: no namespace counts these.
    #[must_use]
    pub fn closed(&self) -> u64 {
        self.states[usize::from(TcpState::Close.number())]
    }
}

/// A descriptor of a socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Example {
    /// The process.
    pub pid: u32,
    /// The thread, if it has a table of descriptors of its own; otherwise 0.
    pub tid: u32,
    /// The descriptor's number.
    pub fd: u32,
}

/// What a walk found.
#[derive(Debug, Default)]
pub struct Walked {
    /// How many records there are, one for each descriptor of a socket of interest: see
    /// [`Walk::record`].
    pub records: usize,
    /// The sockets of each namespace, by its inode number.
    pub counted: HashMap<u32, Counted>,
    /// Whether some descriptors were not seen.
    pub incomplete: bool,
}

/// A loaded walk.
pub struct Walk {
    what: What,
    readers: Vec<Reader>,
}

/// What a walk looks for.
#[derive(Clone)]
struct What {
    program: WalkProgram,
    types: WalkTypes,
    wanted: Wanted,
}

/// One reader, with maps of its own.
struct Reader {
    share: Share,
    room: Room,
    loaded: Loaded,
    records: Mapping,
    link: OwnedFd,
    /// How many walks there were.
    walks: u64,
    /// How many records the last one wrote.
    found: usize,
}

impl Walk {
    /// Loads and attaches it; `prepared`, for this room, and the types may have been made side by
    /// side. `expected`: about how many sockets there are.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn load(
        program: WalkProgram,
        (prepared, room): (Prepared<'_>, Room),
        types: WalkTypes,
        wanted: Wanted,
        expected: u64,
    ) -> io::Result<Self> {
        let what = What {
            program,
            types,
            wanted,
        };
        let readers = Vec::new();
        let mut walk = Self { what, readers };
        walk.share(expected);
        if walk.readers.is_empty() {
            let reader = walk.what.reader(prepared, room, Share::WHOLE)?;
            walk.readers.push(reader);
        }
        Ok(walk)
    }

    /// Walks over the descriptors of all processes; with `unix`, Unix sockets in which descriptors wait
    /// are found, too. `expected` as before.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn run(&mut self, unix: bool, expected: u64) -> io::Result<Walked> {
        self.share(expected);
        let what = &self.what;
        let read = |reader: &mut Reader| reader.run(what, unix);
        let parts = side_by_side(self.readers.iter_mut(), read)?;
        let mut walked = Walked::default();
        let mut met = HashSet::new();
        for part in parts {
            part.add_to(&mut walked, &mut met);
        }
        Ok(walked)
    }

    /// Lets two readers share the descriptors, if so many sockets are worth it.
    fn share(&mut self, expected: u64) {
        if expected < MANY || self.readers.len() > 1 || self.what.program != WalkProgram::Tasks {
            return;
        }
        let shares = [0, 1].map(|reader| Share { reader, readers: 2 });
        let what = &self.what;
        let room = match what.wanted.brief {
            false => Room::USUAL,
            true => Room::for_all(expected / 2),
        };
        let load = |share| what.reader(what.prepare(room)?, room, share);
        // One reader is enough, if there is no second one.
        if let Ok(readers) = side_by_side(shares, load) {
            self.readers = readers;
        }
    }

    /// A record of the last walk; `None` beyond the last one. They are read where they are: a copy of
    /// all of them would need as much memory again.
    #[must_use]
    pub fn record(&self, index: usize) -> Option<SocketRecord> {
        self.read(index)
    }

    /// The same of a walk that counts sockets.
    #[must_use]
    pub fn brief(&self, index: usize) -> Option<BriefRecord> {
        self.read(index)
    }

    fn read<T: Copy>(&self, mut index: usize) -> Option<T> {
        for reader in &self.readers {
            if index < reader.found {
                return Some(reader.records.read(index));
            }
            index -= reader.found;
        }
        None
    }

    /// The kernel's types.
    #[must_use]
    pub fn types(&self) -> &WalkTypes {
        &self.what.types
    }
}

/// Does the work for all of them at the same time: the first on this thread.
fn side_by_side<T: Send, R: Send>(
    all: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> io::Result<R> + Sync,
) -> io::Result<Vec<R>> {
    let mut all = all.into_iter();
    let first = all.next();
    thread::scope(|threads| {
        let work = &work;
        let others: Vec<_> = all.map(|one| threads.spawn(move || work(one))).collect();
        let first = first.map(work);
        let others = others
            .into_iter()
            .map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic)));
        first.into_iter().chain(others).collect()
    })
}

impl What {
    fn prepare(&self, room: Room) -> io::Result<Prepared<'static>> {
        object::prepare(self.program, self.wanted, room)
    }

    fn reader(&self, prepared: Prepared<'_>, room: Room, share: Share) -> io::Result<Reader> {
        let (program, wanted) = (self.program, self.wanted);
        let mut loaded = object::load(program, prepared, &self.types, wanted, room, share)?;
        let records = loaded.take_memory(match wanted.brief {
            false => "RECORDS",
            true => "BRIEF",
        })?;
        let link = syscall::link_iterator(loaded.program.as_fd())?;
        Ok(Reader {
            share,
            room,
            loaded,
            records,
            link,
            walks: 0,
            found: 0,
        })
    }
}

/// What one reader found.
struct Part {
    records: usize,
    counted: Vec<Counted>,
    shared: Vec<SharedSocket>,
    incomplete: bool,
}

impl Part {
    /// Adds it to the whole; `met`: shared sockets that have been counted.
    fn add_to(mut self, walked: &mut Walked, met: &mut HashSet<u64>) {
        for socket in &self.shared {
            if met.insert(socket.sock)
                && let Some(counted) = self.counted.get_mut(socket.netns_index as usize)
            {
                counted.states[socket.state as usize & 15] += 1;
            }
        }
        walked.records += self.records;
        for one in self.counted {
            // Readers share a namespace, and it may have several places among the counts.
            let known = walked.counted.entry(one.netns).or_insert(Counted {
                states: States::default(),
                ..one
            });
            for (sum, count) in known.states.iter_mut().zip(one.states) {
                *sum += count;
            }
        }
        walked.incomplete |= self.incomplete;
    }
}

impl Reader {
    fn run(&mut self, what: &What, unix: bool) -> io::Result<Part> {
        for _ in 0..MAX_GROWTHS {
            let (state, finished) = self.passes(unix)?;
            let Some(room) = self.room.enough_for(&state) else {
                return self.read(&state, finished);
            };
            // With other maps.
            *self = what.reader(what.prepare(room)?, room, self.share)?;
        }
        let (state, _) = self.passes(unix)?;
        self.read(&state, false)
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

    fn read(&mut self, state: &WalkState, finished: bool) -> io::Result<Part> {
        self.found = state.records.min(self.room.records) as usize;
        let namespaces = state.namespaces.min(self.room.namespaces) as usize;
        let counts = self.loaded.memory("COUNTS")?;
        let counted = (0..namespaces)
            .map(|index| {
                let counts: NetnsCounts = counts.read(index);
                Counted {
                    netns: counts.netns,
                    example: Example {
                        pid: counts.pid,
                        tid: counts.tid,
                        fd: counts.fd,
                    },
                    states: counts.states.map(u64::from),
                }
            })
            .collect();
        let count = state.shared.min(self.room.shared) as usize;
        let shared = self.loaded.memory("SHARED")?;
        Ok(Part {
            records: self.found,
            counted,
            shared: (0..count).map(|index| shared.read(index)).collect(),
            incomplete: !finished || self.room.enough_for(state).is_some(),
        })
    }
}
