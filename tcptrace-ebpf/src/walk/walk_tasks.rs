//! An iterator that the kernel runs once for each thread. It walks the descriptors in the kernel
//! (`bpf_loop`, 5.17).

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    cty::{c_long, c_void},
    helpers::generated::bpf_loop,
    macros::map,
    maps::HashMap,
};
use tcptrace_common::ResumePoint;

use crate::{
    descriptor::consider_one, iterator::IteratorContext, memory::peek, output::state, place::Place,
    settings::setting,
};

/// Where the last pass stopped, by thread.
#[map]
static RESUME: HashMap<u32, ResumePoint> = HashMap::with_max_entries(1024, BPF_F_NO_PREALLOC);

/// Descriptors of one process in one pass: about 2 ms, so that no CPU is blocked.
const PASS_DESCRIPTORS: u32 = 8192;

/// Two readers take turns of so many descriptors of each table, as a power of two.
const TURN_BITS: u32 = 9;

struct Walk {
    table: u64,
    slots: u32,
    from: u32,
    place: Place,
}

/// The descriptor of one step of the loop.
#[inline(always)]
fn descriptor(from: u32, step: u32) -> u32 {
    if setting!(readers) < 2 {
        return from.wrapping_add(step);
    }
    let turn = (step >> TURN_BITS) << (TURN_BITS + 1) | setting!(reader) << TURN_BITS;
    from.wrapping_add(turn + (step & ((1 << TURN_BITS) - 1)))
}

/// The steps that a pass over these descriptors takes.
#[inline(always)]
fn steps(descriptors: u32) -> u32 {
    if setting!(readers) < 2 {
        return descriptors;
    }
    // Whole turns, the last of which may go beyond the table.
    let turns = descriptors.saturating_add((2 << TURN_BITS) - 1) >> (TURN_BITS + 1);
    turns << TURN_BITS
}

/// The callback's result to continue the loop.
const NEXT: c_long = 0;

/// `int bpf_iter_task(struct bpf_iter_meta *meta, struct task_struct *task)`
/// (`kernel/bpf/task_iter.c`).
#[unsafe(link_section = "iter/task")]
#[unsafe(no_mangle)]
pub extern "C" fn walk_tasks(ctx: *mut c_void) -> i32 {
    let task = IteratorContext::new(ctx).task();
    if !task.is_null() {
        walk_task(task);
    }
    0
}

/// The members are read as raw memory, so that the verifier does not search the kernel's types for
/// each step.
#[inline(always)]
fn walk_task(task: *const u8) {
    let files: u64 = peek(task, setting!(task.task_files));
    let Some(state) = state() else {
        return;
    };
    if files == 0 {
        return;
    }
    let thread: u32 = peek(task, setting!(task.task_pid));
    let from = if state.later_pass == 0 {
        0
    } else {
        // SAFETY: the value is copied at once.
        match unsafe { RESUME.get(thread) }.copied() {
            Some(point) if point.walk == state.walk => point.fd,
            _ => return,
        }
    };
    let Some(place) = Place::of(task, files, state) else {
        return;
    };
    let table = peek::<u64>(files as *const u8, setting!(task.files_fdt)) as *const u8;
    let slots: u32 = peek(table, setting!(task.fdt_max_fds));
    let count = steps(slots.saturating_sub(from)).min(PASS_DESCRIPTORS);
    let mut walk = Walk {
        table: peek(table, setting!(task.fdt_fd)),
        slots,
        from,
        place,
    };
    // SAFETY: the callback's second argument is `walk`, which outlives the loop.
    unsafe { bpf_loop(count, walk_one as *mut c_void, (&raw mut walk).cast(), 0) };
    let readers = if setting!(readers) < 2 { 1 } else { 2 };
    let next = from.saturating_add(count * readers);
    if next < slots {
        state.more = 1;
        let point = ResumePoint {
            walk: state.walk,
            fd: next,
            reserved: 0,
        };
        if RESUME.insert(thread, point, 0).is_err() {
            state.cut_short += 1;
        }
    } else if from != 0 {
        // It may already have been removed, which is the desired result.
        let _ = RESUME.remove(thread);
    }
}

/// One descriptor: a callback of `bpf_loop`, `long (*callback_fn)(u64 index, void *ctx)`
/// (`include/uapi/linux/bpf.h`).
unsafe extern "C" fn walk_one(index: u64, walk: *mut Walk) -> c_long {
    // SAFETY: `walk_task` passes its own.
    let walk = unsafe { &*walk };
    let fd = descriptor(walk.from, index as u32);
    if fd >= walk.slots {
        return NEXT;
    }
    let slot = walk.table.wrapping_add(u64::from(fd) * 8) as *const u8;
    let file = peek::<u64>(slot, 0) as *const u8;
    if !file.is_null() {
        let Place {
            leader,
            ids,
            counts,
        } = walk.place;
        consider_one(file as u64, fd.into(), leader, ids, counts.into());
    }
    NEXT
}
