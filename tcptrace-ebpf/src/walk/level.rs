//! How many PID namespaces the one of the process that runs this is nested in.

use aya_ebpf::{cty::c_void, helpers::generated::bpf_get_current_task};

use crate::{memory::peek, settings::setting};

/// Gives the level of the innermost number of the current task, which is that of its own namespace
/// (`task_active_pid_ns`, `kernel/pid.c`). The user side runs it, it is never attached.
///
/// It runs as a program on `TP_PROTO(struct task_struct *task, const char *comm)` (`task_rename`,
/// `include/trace/events/task.h`), with any numbers as arguments.
#[unsafe(link_section = "raw_tp/task_rename")]
#[unsafe(no_mangle)]
pub extern "C" fn pid_level(_: *mut c_void) -> i32 {
    // SAFETY: the helper takes nothing.
    let task = unsafe { bpf_get_current_task() } as *const u8;
    let pid = peek::<u64>(task, setting!(task.numbers.thread_pid)) as *const u8;
    peek(pid, setting!(task.numbers.pid_level))
}
