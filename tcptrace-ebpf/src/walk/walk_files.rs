//! An iterator that the kernel runs once per process; it walks the process's descriptor table.

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, seq_file},
    cty::{c_long, c_void},
    helpers::generated::bpf_loop,
    macros::map,
    maps::{Array, HashMap},
};
use tcptrace_common::{HolderRecord, WalkState};

use super::record::{bytes, is_told, of_interest, write};
use crate::{
    file::socket_of_file,
    iterator::IteratorContext,
    memory::{TypedPtr, peek},
    settings::setting,
    sock::is_ip,
};

/// The progress of the walk.
#[map]
static WALK: Array<WalkState> = Array::with_max_entries(1, 0);

/// The next descriptor of each task that a pass did not finish, by thread id.
#[map]
static WALK_RESUME: HashMap<u32, u32> = HashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// Descriptors of one process in one pass: about 1 ms, so that no CPU is blocked.
const PASS_DESCRIPTORS: u32 = 8192;
/// Records of one process in one pass: the kernel gives an iterator a buffer of 8 pages, and what
/// one call writes must fit in it.
const PASS_RECORDS: u32 = 700;

struct Walk {
    seq: *mut seq_file,
    state: *mut WalkState,
    table: u64,
    from: u32,
    pid: u32,
    comm: [u64; 2],
}

/// The callback's results to continue or stop the loop.
const NEXT: c_long = 0;
const STOP: c_long = 1;

/// `int bpf_iter_task(struct bpf_iter_meta *meta, struct task_struct *task)`
/// (`kernel/bpf/task_iter.c`).
#[unsafe(link_section = "iter/task")]
#[unsafe(no_mangle)]
pub extern "C" fn walk_files(ctx: *mut c_void) -> i32 {
    let context = IteratorContext::new(ctx);
    let task = context.task();
    if !task.0.is_null()
        && let Some(state) = WALK.get_ptr_mut(0)
    {
        walk_task(&context, task, state);
    }
    0
}

/// The members are read as raw memory, so that the verifier does not search the kernel's types for
/// each step.
#[inline(always)]
fn walk_task(context: &IteratorContext, task: TypedPtr, state: *mut WalkState) {
    let task = task.0;
    let files: u64 = peek(task, setting!(task.task_files));
    if files == 0 {
        return;
    }
    let pid: u32 = peek(task, setting!(task.task_tgid));
    let thread: u32 = peek(task, setting!(task.task_pid));
    let leader = peek::<u64>(task, setting!(task.task_group_leader)) as *const u8;
    // A thread has the same table as its leader, unless it has unshared it.
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
        // It may already have been removed, which is the desired result.
        let _ = WALK_RESUME.remove(thread);
    }
}

/// The value of [`WalkState::written`] that means: the buffer was full.
const OVERFLOWN: u32 = u32::MAX;

/// One descriptor: a callback of `bpf_loop`, `long (*callback_fn)(u64 index, void *ctx)`
/// (`include/uapi/linux/bpf.h`).
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
    // The protocol is on another cache line than the state, so it is checked last.
    if !is_ip(family)
        || !(of_interest(state) || in_doubt)
        || !is_told(state, peek(sock, setting!(sock.sk_protocol)))
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

/// `sk->skc_family` and `sk->skc_state`, which are adjacent on every kernel so far.
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
