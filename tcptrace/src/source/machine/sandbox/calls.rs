//! The system calls that are needed after the start, found out by trying: with the live tests on each kernel, under
//! `strace`.
//!
//! Not among them, whatever is asked for: programs (`execve`), other processes (`ptrace`, `kill`, `fork`), mounts,
//! modules, sockets other than sock_diag's, and memory that can be executed.

use libc::{
    CLONE_NEWNET, CLONE_THREAD, NETLINK_SOCK_DIAG, O_ACCMODE, O_CREAT, O_TMPFILE, O_TRUNC,
    PROT_EXEC, c_int, c_long,
};
use seccompiler::{
    BackendError,
    SeccompCmpArgLen::Dword,
    SeccompCmpOp::{Eq, MaskedEq},
    SeccompCondition,
};

use crate::model::sandbox::Reach;

type Condition = Result<SeccompCondition, BackendError>;

/// A system call, and what is looked for in its arguments.
pub struct Allowed {
    /// Its number.
    pub call: c_long,
    /// One of these must hold as a whole; none for any arguments.
    pub conditions: Vec<Result<Vec<SeccompCondition>, BackendError>>,
}

/// Needed by every command: reading and writing what is open, memory, time, and an orderly end.
const ALWAYS: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fcntl,
    libc::SYS_ppoll,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_membarrier,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_uname,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Only ever less.
    libc::SYS_capget,
    libc::SYS_capset,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
];

/// For looks at the machine: threads, waiting, files that are read, processes, sock_diag.
const LOOKING: &[c_long] = &[
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    libc::SYS_dup,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_getdents64,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // They are sock_diag's: see `socket`.
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
];

/// For files that are written.
const WRITING: &[c_long] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_pwrite64,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_fchmod,
    libc::SYS_flock,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    #[cfg(not(target_arch = "riscv64"))]
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_umask,
    libc::SYS_getcwd,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
];

/// Requests of `ioctl`.
const REQUESTS: [u64; 6] = [
    // Whether it is a terminal (two versions), and its size.
    libc::TCGETS,
    0x802c_542a,
    libc::TIOCGWINSZ,
    // `SIOCGSKNS` and `NS_GET_NSTYPE`: a socket's network namespace, a namespace's kind.
    0x894c,
    0xb703,
    // `PERF_EVENT_IOC_DISABLE`: a classic tracepoint is left.
    0x2401,
];

/// What `prctl` does: a thread's name (`PR_SET_NAME`), and what the kernel told this process at its start
/// (`PR_GET_AUXV`).
const PRCTL: [u64; 2] = [15, 0x4155_5856];

/// Commands of `bpf` (`enum bpf_cmd`): maps and programs of its own. Nothing is pinned, nothing of others is opened.
const BPF_COMMANDS: [u64; 14] = [
    0,  // BPF_MAP_CREATE
    1,  // BPF_MAP_LOOKUP_ELEM
    2,  // BPF_MAP_UPDATE_ELEM
    3,  // BPF_MAP_DELETE_ELEM
    4,  // BPF_MAP_GET_NEXT_KEY
    5,  // BPF_PROG_LOAD
    10, // BPF_PROG_TEST_RUN
    15, // BPF_OBJ_GET_INFO_BY_FD
    17, // BPF_RAW_TRACEPOINT_OPEN
    18, // BPF_BTF_LOAD
    22, // BPF_MAP_FREEZE
    24, // BPF_MAP_LOOKUP_BATCH
    28, // BPF_LINK_CREATE
    33, // BPF_ITER_CREATE
];

/// What must not be among the flags of an `open` for reading.
const FOR_WRITING: c_int = O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & !libc::O_DIRECTORY);

/// The calls that are allowed for this reach.
pub fn of(reach: Reach) -> Vec<Allowed> {
    let mut all = any(ALWAYS);
    all.extend(always());
    if reach != Reach::Opened {
        all.extend(any(LOOKING));
        all.extend(looking());
    }
    match reach {
        Reach::Opened => {}
        Reach::Machine => all.extend(reading()),
        Reach::Files => all.extend(any(WRITING)),
    }
    all
}

fn any(calls: &[c_long]) -> Vec<Allowed> {
    let any = |call: &c_long| Allowed {
        call: *call,
        conditions: Vec::new(),
    };
    calls.iter().map(any).collect()
}

/// A call of which one argument is one of these values.
fn one_of(call: c_long, argument: u8, values: &[u64]) -> Allowed {
    Allowed {
        call,
        conditions: (values.iter())
            .map(|value| Ok(vec![is(argument, *value)?]))
            .collect(),
    }
}

/// A call with all of these conditions.
fn only(call: c_long, conditions: Vec<Condition>) -> Allowed {
    Allowed {
        call,
        conditions: vec![conditions.into_iter().collect()],
    }
}

/// These bits of an argument have this value.
fn bits(argument: u8, mask: c_int, value: c_int) -> Condition {
    let unsigned = |bits: c_int| u64::from(bits.cast_unsigned());
    SeccompCondition::new(argument, Dword, MaskedEq(unsigned(mask)), unsigned(value))
}

/// All arguments that are looked into have 32 bits in the kernel.
fn is(argument: u8, value: u64) -> Condition {
    SeccompCondition::new(argument, Dword, Eq, value)
}

fn always() -> Vec<Allowed> {
    let own = u64::from(std::process::id());
    vec![
        only(libc::SYS_mmap, vec![bits(2, PROT_EXEC, 0)]),
        only(libc::SYS_mprotect, vec![bits(2, PROT_EXEC, 0)]),
        one_of(libc::SYS_ioctl, 1, &REQUESTS),
        // An abort, and the limits of this process.
        only(libc::SYS_tgkill, vec![is(0, own)]),
        only(libc::SYS_prlimit64, vec![is(0, 0)]),
        one_of(libc::SYS_prctl, 0, &PRCTL),
    ]
}

fn looking() -> Vec<Allowed> {
    let family = u64::from(libc::AF_NETLINK.cast_unsigned());
    let protocol = u64::from(NETLINK_SOCK_DIAG.cast_unsigned());
    vec![
        // A thread, not a process. What `clone3` is asked for cannot be seen, so that is refused.
        only(libc::SYS_clone, vec![bits(0, CLONE_THREAD, CLONE_THREAD)]),
        only(libc::SYS_setns, vec![bits(1, -1, CLONE_NEWNET)]),
        only(libc::SYS_socket, vec![is(0, family), is(2, protocol)]),
        one_of(libc::SYS_bpf, 0, &BPF_COMMANDS),
        only(libc::SYS_open_by_handle_at, vec![bits(2, FOR_WRITING, 0)]),
    ]
}

/// Root may write much that belongs to it without any capability, so nothing can be opened for that. `openat2` is
/// refused, because its flags cannot be seen.
fn reading() -> Vec<Allowed> {
    vec![
        only(libc::SYS_openat, vec![bits(2, FOR_WRITING, 0)]),
        #[cfg(target_arch = "x86_64")]
        only(libc::SYS_open, vec![bits(1, FOR_WRITING, 0)]),
    ]
}
