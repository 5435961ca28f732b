//! Why tracing cannot start: what happened, why, and what to do next.

use aya::{EbpfError, programs::ProgramError};

use crate::source::bpf::tracepoint_format::Problem;

/// A reason for which tracing cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The process may not load BPF programs.
    #[error(
        "not enough privileges: {missing} missing\n  \
         loading BPF programs takes CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN before Linux 5.8); \
         CAP_SYS_PTRACE shows the descriptors of other users' processes, CAP_NET_ADMIN all details \
         of their sockets, CAP_SYS_ADMIN other network namespaces\n  \
         try: {command}"
    )]
    Privileges {
        /// Names, joined.
        missing: String,
        /// What would work.
        command: String,
    },
    /// `--hook btf` without type information.
    #[error(
        "this kernel's type information cannot be used: {reason}\n  \
         the btf hook reads struct members where it says they are \
         (/sys/kernel/btf/vmlinux, CONFIG_DEBUG_INFO_BTF)\n  \
         try: --hook tracepoint"
    )]
    NoBtf {
        /// What is wrong with it.
        reason: String,
    },
    /// No tracefs is mounted.
    #[error(
        "no tracefs: neither /sys/kernel/tracing nor /sys/kernel/debug/tracing is mounted\n  \
         the classic tracepoint is described and switched on there{}\n  \
         try: mount -t tracefs tracefs /sys/kernel/tracing",
        because(.btf_problem.as_deref())
    )]
    NoTracefs {
        /// Why the btf hook, which needs none, was not used.
        btf_problem: Option<String>,
    },
    /// tracefs does not have the tracepoint.
    #[error(
        "this kernel has no tracepoint sock:inet_sock_set_state\n  \
         it came with Linux 4.16 and needs CONFIG_TRACING and event tracing{}",
        because(.btf_problem.as_deref())
    )]
    NoTracepoint {
        /// Why the btf hook was not used.
        btf_problem: Option<String>,
    },
    /// The tracepoint's description is not what is expected.
    #[error("the tracepoint sock:inet_sock_set_state cannot be read: {reason}")]
    TracepointFormat {
        /// The field at fault.
        reason: String,
    },
    /// The way to learn of accepting that was asked for does not work here.
    #[error(
        "accepting cannot be learnt by {way} here: {reason}\n  \
         try: --accept auto, which takes the best way that works"
    )]
    Accept {
        /// What was tried last.
        way: &'static str,
        /// What the kernel said.
        reason: String,
    },
    /// A filter takes what is not known here.
    #[error(
        "network namespaces cannot be told apart here: {reason}\n  \
         --netns takes the kernel's type information (CONFIG_DEBUG_INFO_BTF)\n  \
         try: without --netns, or with --port or --remote"
    )]
    Namespace {
        /// What is missing.
        reason: String,
    },
    /// Descendants cannot be followed.
    #[error(
        "processes cannot be followed here: {reason}\n  \
         --children takes the kernel's type information (CONFIG_DEBUG_INFO_BTF)\n  \
         try: without --children"
    )]
    Follow {
        /// What is missing.
        reason: String,
    },
    /// The kernel is locked down.
    #[error(
        "the kernel is locked down (/sys/kernel/security/lockdown says [confidentiality])\n  \
         it lets nobody, root included, load programs that read kernel memory\n  \
         only a boot with lockdown=integrity or none, or without Secure Boot, lifts this"
    )]
    Lockdown,
    /// The kernel refused a program.
    #[error(
        "the kernel refuses the program {program}: {reason}\n  \
         Linux 5.8 or later is needed; a container's seccomp profile may also forbid bpf()"
    )]
    Refused {
        /// Its name.
        program: &'static str,
        /// What the kernel said.
        reason: String,
    },
    /// The object could not be set up.
    #[error("setting the BPF programs up failed: {}", chain(.0))]
    Setup(#[from] EbpfError),
}

impl From<Problem> for StartError {
    fn from(problem: Problem) -> Self {
        let btf_problem = None;
        match problem {
            Problem::NoTracefs => Self::NoTracefs { btf_problem },
            Problem::NoTracepoint => Self::NoTracepoint { btf_problem },
            Problem::Field(reason) => Self::TracepointFormat { reason },
        }
    }
}

impl StartError {
    /// Says, where the other hook has failed, too, why the btf hook was not used.
    #[must_use]
    pub fn with_btf_problem(self, btf_problem: Option<String>) -> Self {
        match self {
            Self::NoTracefs { .. } => Self::NoTracefs { btf_problem },
            Self::NoTracepoint { .. } => Self::NoTracepoint { btf_problem },
            other => other,
        }
    }
}

/// An error and what it came from.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        // Some say what they came from themselves.
        if text.ends_with(&cause) {
            text
        } else {
            format!("{text}: {cause}")
        }
    })
}

fn because(btf_problem: Option<&str>) -> String {
    btf_problem.map_or_else(String::new, |problem| {
        format!("; the btf hook needs neither, but {problem}")
    })
}

/// What the kernel said of a program: the error and the verifier's last words, which are the point.
#[must_use]
pub fn refusal(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            let log = verifier_log.to_string();
            let last = log.lines().rev().find(|line| {
                !line.trim().is_empty()
                    && !line.starts_with("processed ")
                    && !line.starts_with("verification time")
                    && !line.starts_with("stack depth")
            });
            match last {
                Some(line) => format!("{io_error}; verifier: {}", line.trim()),
                None => io_error.to_string(),
            }
        }
        other => other.to_string(),
    }
}

/// The kernel's `errno` for a program that did not load or attach, if that is what went wrong.
#[must_use]
pub fn errno(error: &ProgramError) -> Option<i32> {
    match error {
        ProgramError::LoadError { io_error, .. } => io_error.raw_os_error(),
        ProgramError::SyscallError(error) => error.io_error.raw_os_error(),
        _ => None,
    }
}
