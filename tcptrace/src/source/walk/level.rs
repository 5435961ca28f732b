//! Whose numbers the kernel side gives to processes.

use std::{io, os::fd::AsFd as _};

use tcptrace_common::{PidNumbers, TaskOffsets};

use crate::source::{
    bpf::{syscall, types::WalkTypes},
    machine::pid_namespace,
    walk::object::{WalkProgram, load_alone},
};

/// The deepest level (`MAX_PID_NS_LEVEL`, `include/linux/pid_namespace.h`).
const DEEPEST: u32 = 32;
/// Bytes of a number with its namespace (`struct upid`, `include/linux/pid.h`): the namespace's address
/// comes last.
const ADDRESS_BYTES: u32 = 8;

/// No process has a number: where the numbers of this namespace are not known.
#[must_use]
pub fn no_numbers() -> PidNumbers {
    PidNumbers {
        namespace: pid_namespace::nested().unwrap_or_default(),
        ..PidNumbers::default()
    }
}

/// Those of the namespace that tcptrace runs in; `task` has where numbers are in general.
///
/// # Errors
/// When the kernel does not say how deeply that namespace is nested (before 5.10): then only the initial
/// one's numbers could be told.
pub fn own_numbers(task: &TaskOffsets) -> Result<PidNumbers, String> {
    let Some(namespace) = pid_namespace::nested() else {
        return Ok(PidNumbers::default());
    };
    let failed = |reason: &str| {
        format!("the process numbers of this PID namespace cannot be found out: {reason}")
    };
    let known = task.numbers;
    if known.thread_pid == 0 {
        return Err(failed("the kernel's type information lacks them"));
    }
    let level = level(*task).map_err(|error| failed(&error.to_string()))?;
    let bytes = known.number_ns - known.number + ADDRESS_BYTES;
    Ok(PidNumbers {
        namespace,
        level,
        number: known.number + level * bytes,
        number_ns: known.number_ns + level * bytes,
        ..known
    })
}

/// How many namespaces this process's is nested in.
fn level(task: TaskOffsets) -> io::Result<u32> {
    let types = WalkTypes {
        task,
        ..WalkTypes::default()
    };
    let loaded = load_alone(WalkProgram::PidLevel, &types)?;
    let level = syscall::run_once(loaded.program.as_fd(), &[0, 0])?;
    match level {
        1..=DEEPEST => Ok(level),
        _ => Err(io::Error::other(format!("level {level}"))),
    }
}
