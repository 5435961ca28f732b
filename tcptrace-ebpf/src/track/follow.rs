//! Which processes are followed: adds children of followed processes, and removes processes that
//! have ended.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use super::{counters::count, owner::PIDS};
use crate::{pids, settings::setting, typed::TypedPtr};

/// `TP_PROTO(struct task_struct *parent, struct task_struct *child)` (`sched_process_fork`,
/// `include/trace/events/sched.h`); also called for every thread.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn process_forked(ctx: BtfTracePointContext) -> i32 {
    let parent = pids::process(ctx.arg::<u64>(0) as *const u8);
    let child = pids::process(ctx.arg::<u64>(1) as *const u8);
    if parent == child {
        return 0;
    }
    // SAFETY: only whether there is an entry matters.
    let followed = setting!(track.children) != 0 && unsafe { PIDS.get(parent) }.is_some();
    if !followed {
        // Whichever process had this number before is gone: see `process_freed`.
        let _ = PIDS.remove(child);
    } else if PIDS.insert(child, 1, 0).is_err() {
        count(|counters| counters.unfollowed += 1);
    }
    0
}

/// Only where processes have the numbers of the initial PID namespace: in the others a process that is
/// being freed has no number any more.
///
/// `TP_PROTO(struct task_struct *p)` (`sched_process_free`, `include/trace/events/sched.h`).
#[btf_tracepoint(function = "sched_process_free")]
pub fn process_freed(ctx: BtfTracePointContext) -> i32 {
    let task = TypedPtr(ctx.arg(0));
    let process: u32 = task.load(setting!(task.task_tgid));
    // The main thread is freed last.
    if task.load::<u32>(setting!(task.task_pid)) == process {
        let _ = PIDS.remove(process);
    }
    0
}
