//! Why tracing cannot start: what happened, why, and what to do next.

use aya::{EbpfError, programs::ProgramError};

/// A reason why tracing cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The process may not load BPF programs.
    #[error(
        "not enough privileges: {missing} missing\n  \
         loading BPF programs needs CAP_BPF and CAP_PERFMON (CAP_SYS_ADMIN before Linux 5.8); \
         CAP_SYS_PTRACE shows the descriptors of other users' processes, CAP_NET_ADMIN all details \
         of their sockets, and CAP_SYS_ADMIN other network namespaces\n  \
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
         the btf hook needs it to find struct members \
         (/sys/kernel/btf/vmlinux, CONFIG_DEBUG_INFO_BTF)\n  \
         try: --hook tracepoint"
    )]
    NoBtf {
        /// What is wrong with it.
        reason: String,
    },
    /// No tracefs is mounted.
    #[error(
        "no tracefs: neither /sys/kernel/tracing nor /sys/kernel/debug/tracing is mounted, and tcptrace \
         could not mount it for itself\n  \
         tcptrace needs it to read and enable the classic tracepoint{}\n  \
         try: mount -t tracefs tracefs /sys/kernel/tracing",
        because(.btf_problem.as_deref())
    )]
    NoTracefs {
        /// Why the btf hook, which needs no tracefs, was not used.
        btf_problem: Option<String>,
    },
    /// tracefs may not be read.
    #[error(
        "tracefs may not be read: {path}: {reason}\n  \
         tcptrace needs it to read and enable the classic tracepoint{}\n  \
         try: as root, or with CAP_DAC_READ_SEARCH",
        because(.btf_problem.as_deref())
    )]
    TracefsRefused {
        /// What may not be read.
        path: String,
        /// What the kernel said.
        reason: String,
        /// Why the btf hook was not used.
        btf_problem: Option<String>,
    },
    /// tracefs does not have the tracepoint.
    #[error(
        "this kernel has no tracepoint sock:inet_sock_set_state\n  \
         it exists since Linux 4.16 and needs a kernel with event tracing (CONFIG_TRACING){}",
        because(.btf_problem.as_deref())
    )]
    NoTracepoint {
        /// Why the btf hook was not used.
        btf_problem: Option<String>,
    },
    /// The tracepoint's description has an unexpected form.
    #[error(
        "the record of the tracepoint sock:inet_sock_set_state has an unknown layout: {reason}\n  \
         if you gave --hook tracepoint, try: --hook btf"
    )]
    TracepointFormat {
        /// The field that is wrong.
        reason: String,
    },
    /// The requested way to detect accepts does not work here.
    #[error(
        "accepts cannot be detected by {way} on this machine: {reason}\n  \
         try: --accept auto, which uses the best way that works"
    )]
    Accept {
        /// What was tried last.
        way: &'static str,
        /// What the kernel said.
        reason: String,
    },
    /// The requested way to walk over descriptors does not work here.
    #[error(
        "descriptors cannot be walked over by {way} on this machine: {reason}\n  \
         try: --walk auto, which uses the best way that works"
    )]
    Walk {
        /// What was tried.
        way: &'static str,
        /// What the kernel said.
        reason: String,
    },
    /// A filter needs information that this kernel does not offer.
    #[error(
        "network namespaces cannot be distinguished on this machine: {reason}\n  \
         --netns needs the kernel's type information (CONFIG_DEBUG_INFO_BTF)\n  \
         try: without --netns, or with --port or --remote"
    )]
    Namespace {
        /// What is missing.
        reason: String,
    },
    /// Only the initial user namespace has capabilities over the kernel.
    #[error(
        "tcptrace runs in a user namespace ({inode}), in which not even root may load BPF programs\n  \
         the kernel asks for CAP_BPF and CAP_PERFMON in the initial user namespace, and nobody in another \
         one has them\n  \
         try: outside of it, as root of the machine; in a container that has no user namespace of its own \
         (not a rootless one, docker: --userns=host)"
    )]
    UserNamespace {
        /// Its inode number.
        inode: u32,
    },
    /// `/proc` is not mounted.
    #[error(
        "/proc is not mounted, and tcptrace could not mount it for itself: {reason}\n  \
         it tells which processes and network namespaces there are\n  \
         try: mount -t proc proc /proc"
    )]
    NoProc {
        /// What the kernel said.
        reason: String,
    },
    /// `/proc` shows the processes of another PID namespace.
    #[error(
        "/proc shows the processes of another PID namespace, and tcptrace may not mount its own: \
         {reason}\n  \
         their numbers are not those that processes have here\n  \
         try: mount -t proc proc /proc, in a mount namespace of its own (unshare --mount)"
    )]
    OtherProc {
        /// What the kernel said.
        reason: String,
    },
    /// Descendants cannot be followed.
    #[error(
        "processes cannot be followed on this machine: {reason}\n  \
         --children needs the kernel's type information (CONFIG_DEBUG_INFO_BTF)\n  \
         try: without --children"
    )]
    Follow {
        /// What is missing.
        reason: String,
    },
    /// In this time namespace the kernel's clock is not known, or no thread can be started.
    #[error(
        "tcptrace cannot work in this time namespace: {reason}\n  \
         try: as a child process, sh -c 'tcptrace; exit $?', or outside of the time namespace"
    )]
    TimeNamespace {
        /// What is wrong with it.
        reason: String,
    },
    /// The kernel is locked down.
    #[error(
        "the kernel is locked down (/sys/kernel/security/lockdown says [confidentiality])\n  \
         in this mode nobody, not even root, can load programs that read kernel memory\n  \
         to use tcptrace, boot with lockdown=integrity or lockdown=none, or without Secure Boot"
    )]
    Lockdown,
    /// The kernel refused a program.
    #[error(
        "the kernel refused the program {program}: {reason}\n  \
         tcptrace needs Linux 5.8 or later; in a container, a seccomp profile may forbid bpf()"
    )]
    Refused {
        /// Its name.
        program: &'static str,
        /// What the kernel said.
        reason: String,
    },
    /// The object could not be set up.
    #[error("cannot set up the BPF programs: {}", chain(.0))]
    Setup(#[from] EbpfError),
}

impl StartError {
    /// Adds why the btf hook was not used, if the other hook has failed too.
    #[must_use]
    pub fn with_btf_problem(self, btf_problem: Option<String>) -> Self {
        match self {
            Self::NoTracefs { .. } => Self::NoTracefs { btf_problem },
            Self::TracefsRefused { path, reason, .. } => Self::TracefsRefused {
                path,
                reason,
                btf_problem,
            },
            Self::NoTracepoint { .. } => Self::NoTracepoint { btf_problem },
            other => other,
        }
    }
}

/// An error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        // Some errors already include their cause.
        if text.ends_with(&cause) {
            text
        } else {
            format!("{text}: {cause}")
        }
    })
}

fn because(btf_problem: Option<&str>) -> String {
    btf_problem.map_or_else(String::new, |problem| {
        format!("; the btf hook works without it, but {problem}")
    })
}

/// The kernel's refusal of a program: the error and the last line of the verifier, which has the
/// reason.
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
