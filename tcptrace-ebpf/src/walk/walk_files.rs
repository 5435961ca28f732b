//! Who has the sockets open: two iterators that write one [`HolderRecord`] for each descriptor of
//! a socket in the watched state, of a listener, or of MPTCP (whose state says nothing about its
//! subflows).
//!
//! `walk_files` runs once a process and walks its descriptor table inside the kernel (needs
//! `bpf_loop`, 5.17). `each_file` is run by the kernel for every descriptor (needs
//! `bpf_sock_from_file`, 5.11); it is the slower one.

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, seq_file},
    cty::{c_long, c_void},
    helpers::generated::{bpf_loop, bpf_seq_write, bpf_sock_from_file},
    macros::map,
    maps::{Array, HashMap},
};
use tcptrace_common::{HolderRecord, IPPROTO_MPTCP, IPPROTO_TCP, TcpState, WalkState};

use crate::{
    settings::setting,
    sock::{Sock, is_ip, peek},
};

#[map]
static WALK: Array<WalkState> = Array::with_max_entries(1, 0);

/// The next descriptor of each task that a pass did not finish, by thread id.
#[map]
static WALK_RESUME: HashMap<u32, u32> = HashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// Descriptors of one process in one pass, so that no CPU is held up: about 1 ms.
const PASS_DESCRIPTORS: u32 = 8192;
/// Records of one process in one pass: the kernel gives an iterator a buffer of 8 pages, and what
/// one call writes must fit in it.
const PASS_RECORDS: u32 = 700;

/// `struct bpf_iter__task { meta; task; }` and `struct bpf_iter__task_file { meta; task; fd; file; }`
/// (`kernel/bpf/task_iter.c`): each member takes 8 bytes.
pub struct Context(*const u64);

impl Context {
    #[inline(always)]
    pub fn new(ctx: *mut c_void) -> Self {
        Self(ctx.cast_const().cast())
    }

    #[inline(always)]
    pub fn word(&self, index: usize) -> u64 {
        // SAFETY: the verifier knows the context's size and types.
        unsafe { self.0.add(index).read_volatile() }
    }

    /// `meta->seq`, the first member of the first member.
    #[inline(always)]
    fn seq(&self) -> *mut seq_file {
        Sock(self.word(0) as *const u8).load(0)
    }

    #[inline(always)]
    pub fn task(&self) -> Sock {
        Sock(self.word(1) as *const u8)
    }
}

struct Walk {
    seq: *mut seq_file,
    state: *mut WalkState,
    table: u64,
    from: u32,
    pid: u32,
    comm: [u64; 2],
}

/// What the loop's callback returns to go on, or to stop.
const NEXT: c_long = 0;
const STOP: c_long = 1;

#[unsafe(link_section = "iter/task")]
#[unsafe(no_mangle)]
pub extern "C" fn walk_files(ctx: *mut c_void) -> i32 {
    let context = Context::new(ctx);
    let task = context.task();
    if !task.0.is_null()
        && let Some(state) = WALK.get_ptr_mut(0)
    {
        walk_task(&context, task, state);
    }
    0
}

/// The members are read as raw memory, which keeps the verifier from searching the kernel's types
/// for each step.
#[inline(always)]
fn walk_task(context: &Context, task: Sock, state: *mut WalkState) {
    let task = task.0;
    let files: u64 = peek(task, setting!(task.task_files));
    if files == 0 {
        return;
    }
    let pid: u32 = peek(task, setting!(task.task_tgid));
    let thread: u32 = peek(task, setting!(task.task_pid));
    let leader = peek::<u64>(task, setting!(task.task_group_leader)) as *const u8;
    // A thread has the same table as its leader, unless it went its own way.
    if thread != pid && peek::<u64>(leader, setting!(task.task_files)) == files {
        return;
    }
    // SAFETY: `state` points into the map, and one reader at a time runs the iterator.
    let first_pass = unsafe { (*state).first_pass } != 0;
    // SAFETY: the value is copied at once.
    let from = match unsafe { WALK_RESUME.get(thread) } {
        _ if first_pass => 0,
        Some(from) => *from,
        None => return,
    };
    let table = peek::<u64>(files as *const u8, setting!(task.files_fdt)) as *const u8;
    let slots: u32 = peek(table, setting!(task.fdt_max_fds));
    let count = slots.saturating_sub(from).min(PASS_DESCRIPTORS);
    let mut walk = Walk {
        seq: context.seq(),
        state,
        table: peek(table, setting!(task.fdt_fd)),
        from,
        pid,
        comm: peek(leader, setting!(task.task_comm)),
    };
    // SAFETY: the state is as above; the callback's second argument is `walk`, which outlives the
    // loop.
    let walked = unsafe {
        (*state).written = 0;
        bpf_loop(count, walk_one as *mut c_void, (&raw mut walk).cast(), 0)
    };
    // SAFETY: as above.
    if unsafe { (*state).written } == OVERFLOWN {
        // The kernel drops what was written and calls again for this task, with an empty buffer.
        return;
    }
    let next = from.saturating_add(walked as u32);
    if next < slots {
        // SAFETY: as above.
        unsafe {
            (*state).more = 1;
            if WALK_RESUME.insert(thread, next, 0).is_err() {
                (*state).cut_short += 1;
            }
        }
    } else if !first_pass {
        // It may have been removed meanwhile; gone is what is wanted.
        let _ = WALK_RESUME.remove(thread);
    }
}

/// Stands in [`WalkState::written`] for: the buffer was full.
const OVERFLOWN: u32 = u32::MAX;

/// One descriptor.
unsafe extern "C" fn walk_one(index: u64, walk: *mut Walk) -> c_long {
    // SAFETY: `walk_task` passes its own.
    let walk = unsafe { &*walk };
    let fd = walk.from.wrapping_add(index as u32);
    let slot = walk.table.wrapping_add(u64::from(fd) * 8) as *const u8;
    let file = peek::<u64>(slot, 0) as *const u8;
    if file.is_null() {
        return NEXT;
    }
    let Some(sock) = socket_of_file(file) else {
        return NEXT;
    };
    let (family, state) = family_and_state(sock);
    // SAFETY: `state` points into the map.
    let in_doubt = unsafe { (*walk.state).mptcp } != 0;
    // The protocol lies on another cache line than the state, so it is asked for last.
    if !is_ip(family)
        || !(of_interest(state) || in_doubt)
        || !has_protocol(state, peek(sock, setting!(sock.sk_protocol)))
    {
        return NEXT;
    }
    let inode = peek::<u64>(file, setting!(task.file_inode)) as *const u8;
    let written = write(
        walk.seq,
        &HolderRecord {
            inode: peek(inode, setting!(task.inode_ino)),
            pid: walk.pid,
            fd,
            backlog: peek(sock, setting!(sock.sk_max_ack_backlog)),
            state: state.into(),
            comm: bytes(walk.comm),
        },
    );
    // SAFETY: `state` points into the map, and one reader at a time runs the iterator.
    let count = unsafe { &mut (*walk.state).written };
    *count = if written { *count + 1 } else { OVERFLOWN };
    if *count < PASS_RECORDS { NEXT } else { STOP }
}

#[unsafe(link_section = "iter/task_file")]
#[unsafe(no_mangle)]
pub extern "C" fn each_file(ctx: *mut c_void) -> i32 {
    let context = Context::new(ctx);
    let task = context.task();
    let file = context.word(3) as *const u8;
    if task.0.is_null() || file.is_null() {
        return 0;
    }
    // SAFETY: the verifier checks that the argument is a `struct file *`.
    let socket = unsafe { bpf_sock_from_file(file.cast_mut().cast()) };
    if socket.is_null() {
        return 0;
    }
    let sock = Sock(Sock(socket.cast_const().cast()).load(setting!(task.socket_sk)));
    if sock.0.is_null() {
        return 0;
    }
    let state: u8 = sock.load(setting!(sock.skc_state));
    if !is_ip(sock.load(setting!(sock.skc_family)))
        || !has_protocol(state, sock.load(setting!(sock.sk_protocol)))
    {
        return 0;
    }
    let inode = Sock(Sock(file).load(setting!(task.file_inode)));
    write(
        context.seq(),
        &HolderRecord {
            inode: inode.load(setting!(task.inode_ino)),
            pid: task.load(setting!(task.task_tgid)),
            fd: context.word(2) as u32,
            backlog: sock.load(setting!(sock.sk_max_ack_backlog)),
            state: state.into(),
            comm: bytes(comm(task)),
        },
    );
    0
}

/// The `struct sock` of an open file, if it is a socket.
#[inline(always)]
pub fn socket_of_file(file: *const u8) -> Option<*const u8> {
    let socket = peek::<u64>(file, setting!(task.file_private_data)) as *const u8;
    if socket.is_null() {
        return None;
    }
    let (back, sock) = file_and_sock(socket);
    // A socket points back to its file; no other private data does.
    (back == file as u64 && !sock.is_null()).then_some(sock)
}

/// `socket->file` and `socket->sk`, which are neighbours on every kernel so far.
#[inline(always)]
fn file_and_sock(socket: *const u8) -> (u64, *const u8) {
    let (file, sk) = (setting!(task.socket_file), setting!(task.socket_sk));
    if sk == file + 8 {
        let [file, sk] = peek::<[u64; 2]>(socket, file);
        (file, sk as *const u8)
    } else {
        (peek(socket, file), peek::<u64>(socket, sk) as *const u8)
    }
}

/// `sk->skc_family` and `sk->skc_state`, likewise.
#[inline(always)]
fn family_and_state(sock: *const u8) -> (u16, u8) {
    let (family, state) = (setting!(sock.skc_family), setting!(sock.skc_state));
    if state == family + 2 {
        let [first, second, state, _] = peek::<[u8; 4]>(sock, family);
        (u16::from_ne_bytes([first, second]), state)
    } else {
        (peek(sock, family), peek(sock, state))
    }
}

#[inline(always)]
fn of_interest(state: u8) -> bool {
    u32::from(state) == setting!(watched_state) || state == TcpState::Listen.number()
}

#[inline(always)]
fn has_protocol(state: u8, protocol: u16) -> bool {
    protocol == IPPROTO_MPTCP || (of_interest(state) && protocol == IPPROTO_TCP)
}

/// The name of the thread group's leader, which is the process's name.
#[inline(always)]
fn comm(task: Sock) -> [u64; 2] {
    let leader = Sock(task.load(setting!(task.task_group_leader)));
    let offset = setting!(task.task_comm);
    [leader.load(offset), leader.load(offset + 8)]
}

#[inline(always)]
fn bytes(words: [u64; 2]) -> [u8; 16] {
    // SAFETY: both are 16 bytes of plain data.
    unsafe { core::mem::transmute(words) }
}

/// Whether the record fitted. When it did not, the kernel takes back what this call wrote and calls
/// again for the same object.
#[inline(always)]
fn write(seq: *mut seq_file, record: &HolderRecord) -> bool {
    // SAFETY: the record is plain data of exactly this size.
    let result = unsafe {
        bpf_seq_write(
            seq,
            core::ptr::from_ref(record).cast(),
            size_of::<HolderRecord>() as u32,
        )
    };
    result == 0
}
