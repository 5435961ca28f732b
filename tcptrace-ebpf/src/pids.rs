//! The numbers of processes and threads, in the PID namespace that tcptrace runs in.

use crate::{memory::peek, settings::setting};

/// The number of the task's process; 0 if it is outside of the namespace.
#[inline(always)]
pub fn process(task: *const u8) -> u32 {
    if setting!(task.numbers.namespace) == 0 {
        return peek(task, setting!(task.task_tgid));
    }
    number(peek::<u64>(task, setting!(task.task_group_leader)) as *const u8)
}

/// The number of the task; likewise.
#[inline(always)]
pub fn thread(task: *const u8) -> u32 {
    if setting!(task.numbers.namespace) == 0 {
        return peek(task, setting!(task.task_pid));
    }
    number(task)
}

/// As `pid_nr_ns` (`kernel/pid.c`): a task has a number in each namespace around its own.
#[inline(always)]
fn number(task: *const u8) -> u32 {
    if setting!(task.numbers.thread_pid) == 0 {
        return 0;
    }
    let pid = peek::<u64>(task, setting!(task.numbers.thread_pid)) as *const u8;
    if peek::<u32>(pid, setting!(task.numbers.pid_level)) < setting!(task.numbers.level) {
        return 0;
    }
    let namespace = peek::<u64>(pid, setting!(task.numbers.number_ns)) as *const u8;
    if peek::<u32>(namespace, setting!(task.numbers.ns_inum)) != setting!(task.numbers.namespace) {
        return 0;
    }
    peek(pid, setting!(task.numbers.number))
}
