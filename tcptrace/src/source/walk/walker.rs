//! The ways to walk over descriptors; the fastest that works is used.

use std::{collections::HashSet, io, panic::resume_unwind, thread};

use tcptrace_common::{BriefRecord, SocketRecord, TcpState};

use crate::{
    model::{request::WalkChoice, stuck::look::Descriptor},
    source::{
        bpf::types::WalkTypes,
        error::StartError,
        machine::clock::tick_ns,
        walk::{
            convert::Meaning,
            count,
            hidden::Hidden,
            level::own_numbers,
            messages::Messages,
            object::{self, Room, WalkProgram, Wanted},
            places::Search,
            queue::Queues,
            run::{Walk, Walked},
        },
    },
};

/// A walk inside the kernel.
pub struct KernelWalk {
    walk: Walk,
    queues: Queues,
    messages: Messages,
    hidden: Hidden,
    /// What else leads to namespaces.
    pub search: Search,
    program: WalkProgram,
    states: u32,
}

/// What reading `/proc` keeps from look to look.
#[derive(Debug, Default)]
pub struct ProcWalk {
    /// Holders without descriptors.
    pub hidden: Hidden,
    /// What else leads to namespaces.
    pub search: Search,
}

/// How descriptors are walked over.
pub enum Walker {
    /// Inside the kernel.
    Kernel(Box<KernelWalk>),
    /// `/proc` is read.
    Proc(Box<ProcWalk>),
}

impl Walker {
    /// Loads the first way that works on this machine, or the one that the user chose; the walk finds
    /// the sockets in these states.
    ///
    /// # Errors
    /// When the user chose a way that does not work.
    pub fn start(choice: WalkChoice, states: &[TcpState]) -> Result<Self, StartError> {
        let bits = states.iter().map(|state| 1 << state.number());
        Self::start_for(
            choice,
            Wanted {
                states: bits.fold(0, |all: u32, bit: u32| all | bit),
                ..Wanted::default()
            },
        )
    }

    /// The same for whatever is wanted.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_for(choice: WalkChoice, wanted: Wanted) -> Result<Self, StartError> {
        let programs: &[WalkProgram] = match choice {
            WalkChoice::Auto => &[WalkProgram::Tasks, WalkProgram::Files],
            WalkChoice::Tasks => &[WalkProgram::Tasks],
            WalkChoice::Files => &[WalkProgram::Files],
            WalkChoice::Proc => return Ok(Self::Proc(Box::default())),
        };
        match load(programs, wanted) {
            Ok(kernel) => Ok(Self::Kernel(Box::new(kernel))),
            Err(_) if choice == WalkChoice::Auto => Ok(Self::Proc(Box::default())),
            Err(reason) => Err(StartError::Walk {
                way: choice.name(),
                reason,
            }),
        }
    }

    /// The way in words.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Kernel(kernel) => match kernel.program {
                WalkProgram::Files => "a BPF iterator over descriptors (walk_files)",
                _ => "a BPF iterator over threads (walk_tasks)",
            },
            Self::Proc(_) => "/proc/*/fd",
        }
    }
}

/// Loads the first of the programs that works.
fn load(programs: &[WalkProgram], wanted: Wanted) -> Result<KernelWalk, String> {
    let mut refused = String::new();
    for &program in programs {
        match load_one(program, wanted) {
            Ok(walk) => {
                return Ok(KernelWalk {
                    walk,
                    queues: Queues::default(),
                    messages: Messages::default(),
                    hidden: Hidden::default(),
                    search: Search::default(),
                    program,
                    states: wanted.states,
                });
            }
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// Loads one program. Its maps are made while the kernel's types are read: both take a while.
fn load_one(program: WalkProgram, wanted: Wanted) -> Result<Walk, String> {
    let expected = count::allocated();
    let room = match wanted.brief {
        false => Room::USUAL,
        true => Room::for_all(expected),
    };
    let (prepared, types) = thread::scope(|threads| {
        let prepared = threads.spawn(|| object::prepare(program, wanted, room));
        let types = WalkTypes::read(program.iterates().unwrap_or_default());
        let prepared = prepared.join();
        (prepared.unwrap_or_else(|panic| resume_unwind(panic)), types)
    });
    let prepared = prepared.map_err(|error| error.to_string())?;
    let mut types = types?;
    types.task.numbers = own_numbers(&types.task)?;
    Walk::load(program, (prepared, room), types, wanted, expected)
        .map_err(|error| error.to_string())
}

impl KernelWalk {
    /// One walk; with `unix`, Unix sockets in which descriptors wait are found, too.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn run(&mut self, unix: bool) -> io::Result<Walked> {
        self.walk.run(unix, count::allocated())
    }

    /// A record of that walk; `None` beyond the last one.
    #[must_use]
    pub fn record(&self, index: usize) -> Option<SocketRecord> {
        self.walk.record(index)
    }

    /// The same of a walk that counts sockets.
    #[must_use]
    pub fn brief(&self, index: usize) -> Option<BriefRecord> {
        self.walk.brief(index)
    }

    /// The holders of sockets that are in no table of descriptors.
    pub fn hidden_holders(&mut self, inodes: &HashSet<u64>) -> Vec<Descriptor> {
        self.hidden.find(inodes)
    }

    /// The inodes of the sockets on their way in the messages of a Unix socket.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn messages(&mut self, unix: &SocketRecord) -> io::Result<Vec<u64>> {
        self.messages.read(self.walk.types(), unix)
    }

    /// Whether the walk finds sockets in the state with this number.
    #[must_use]
    pub fn watches(&self, state: u8) -> bool {
        self.states & 1 << (state & 31) != 0
    }

    /// The connections that wait at a listener.
    ///
    /// # Errors
    /// When the kernel refuses, or the queue changes all the time.
    pub fn queue(&mut self, listener: &SocketRecord) -> io::Result<Vec<SocketRecord>> {
        self.queues.read(self.walk.types(), listener)
    }

    /// What the records mean.
    #[must_use]
    pub fn meaning(&self) -> Meaning {
        Meaning {
            tcp: self.walk.types().tcp,
            tick_ns: tick_ns(),
            counts_subflows: self.walk.types().sock.mptcp_first != 0
                && self.walk.types().tcp.mptcp_extra_subflows != 0,
        }
    }
}
