//! Where a walk is: the table of descriptors, and the network namespace of the last socket.

use aya_ebpf::{
    bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC},
    macros::map,
    maps::{Array, HashMap},
};
use tcptrace_common::{NetnsCounts, NetnsIndex, SharedSocket, WalkState, WalkedTable};

use crate::{memory::peek, output::share, pids, settings::setting};

/// The tables of descriptors that a walk has met, by address.
#[map]
static TABLES: HashMap<u64, WalkedTable> = HashMap::with_max_entries(4096, BPF_F_NO_PREALLOC);

/// The indices of namespaces among the counts, by address.
#[map]
static NETNS: HashMap<u64, NetnsIndex> = HashMap::with_max_entries(4096, BPF_F_NO_PREALLOC);

/// The sockets of each namespace.
#[map]
static COUNTS: Array<NetnsCounts> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// No namespace: there was no room.
const NO_INDEX: u32 = u32::MAX;

/// A table of descriptors.
#[derive(Clone, Copy)]
pub struct Place {
    /// The main thread of the process.
    pub leader: u64,
    /// The process in the upper half; in the lower one the thread, if its table is its own,
    /// otherwise 0.
    pub ids: u64,
    /// 1 if sockets are counted: the first time that this table is met.
    pub counts: u32,
}

impl Place {
    /// The place of a task with this table, `None` if the table belongs to another thread of its
    /// process, which is walked instead.
    #[inline(always)]
    pub fn of(task: *const u8, files: u64, state: &mut WalkState) -> Option<Self> {
        let pid: u32 = peek(task, setting!(task.task_tgid));
        let tid: u32 = peek(task, setting!(task.task_pid));
        let leader: u64 = peek(task, setting!(task.task_group_leader));
        let is_own = tid != pid;
        if is_own && peek::<u64>(leader as *const u8, setting!(task.task_files)) == files {
            return None;
        }
        let own_table = if is_own { pids::thread(task) } else { 0 };
        let mut place = Self {
            leader,
            ids: u64::from(pids::process(task)) << 32 | u64::from(own_table),
            counts: 1,
        };
        // SAFETY: the value is copied at once.
        let met = unsafe { TABLES.get(files) }.copied();
        match met {
            // In a later pass the same thread goes on.
            Some(met) if met.walk == state.walk && met.tid == tid => {}
            Some(met) if met.walk == state.walk => {
                // The main thread has ended, and another of the process's threads was met first.
                if is_own && met.pid == pid {
                    return None;
                }
                // Two processes with one table: both hold its sockets, which count once.
                place.counts = 0;
            }
            _ => {
                state.tables += 1;
                let met = WalkedTable {
                    walk: state.walk,
                    tid,
                    pid,
                };
                if TABLES.insert(files, met, 0).is_err() {
                    state.cut_short += 1;
                }
            }
        }
        Some(place)
    }
}

/// Counts a socket.
#[inline(always)]
pub fn count(state: &mut WalkState, socket: &CountedSocket) {
    if state.net != socket.net {
        state.net = socket.net;
        state.net_index = index_of(socket, state);
    }
    let Some(counts) = COUNTS.get_ptr_mut(state.net_index) else {
        return;
    };
    if socket.alone {
        // SAFETY: one reader at a time runs a walk.
        unsafe { (*counts).states[usize::from(socket.state & 15)] += 1 };
    } else {
        let socket = SharedSocket {
            sock: socket.sock,
            netns_index: state.net_index,
            state: socket.state.into(),
        };
        share(state, socket);
    }
}

/// A socket to be counted.
pub struct CountedSocket {
    /// Address of its `struct sock`.
    pub sock: u64,
    /// Address of its namespace.
    pub net: u64,
    /// Its state.
    pub state: u8,
    /// Whether no other descriptor refers to it.
    pub alone: bool,
    /// As [`Place::ids`].
    pub ids: u64,
    /// The descriptor.
    pub fd: u32,
}

/// The namespace's place among the counts; a namespace that does not fit is counted all the same.
#[inline(always)]
fn index_of(socket: &CountedSocket, state: &mut WalkState) -> u32 {
    let net = socket.net;
    // SAFETY: the value is copied at once.
    if let Some(known) = unsafe { NETNS.get(net) }.copied()
        && known.walk == state.walk
    {
        return known.index;
    }
    let index = state.namespaces;
    state.namespaces = index.wrapping_add(1);
    if index >= setting!(max_namespaces) {
        return NO_INDEX;
    }
    let known = NetnsIndex {
        walk: state.walk,
        index,
        reserved: 0,
    };
    if NETNS.insert(net, known, 0).is_err() {
        // Not remembered: its sockets are counted in several places, which add up.
        state.cut_short += 1;
    }
    let Some(counts) = COUNTS.get_ptr_mut(index) else {
        return NO_INDEX;
    };
    let netns = peek(net as *const u8, setting!(sock.net_inum));
    // SAFETY: one reader at a time runs a walk.
    unsafe {
        (*counts).netns = netns;
        (*counts).pid = (socket.ids >> 32) as u32;
        (*counts).tid = socket.ids as u32;
        (*counts).fd = socket.fd;
    }
    index
}
