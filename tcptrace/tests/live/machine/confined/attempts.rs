//! What a confined process may not do, and what it still may: this program, started again, gives up what a command gives
//! up, tries it, and says what the kernel said.

use std::{
    collections::HashMap,
    ffi::{CStr, OsString},
    io,
    process::ExitCode,
    ptr,
};

use libc::{c_int, c_long};
use tcptrace::{
    model::sandbox::{Needs, Work},
    source::machine::sandbox::confine,
};

use super::{clues, second};

/// The first argument that starts it. The second one is a command's name, the third one what to do.
pub const WORD: &str = "confined-attempts";

/// What a command may not do, whichever it is.
pub const NEVER: &[&str] = &[
    "execve",
    "fork",
    "vfork by clone3",
    "ptrace",
    "kill",
    "tgkill",
    "tcp",
    "unix",
    "route",
    "mount",
    "unshare",
    "setns mnt",
    "mmap exec",
    "mprotect exec",
    "bpf pin",
    "bpf by id",
    "process_vm_readv",
    "tiocsti",
    "prlimit of another",
    "no_new_privs off",
    "io_uring",
    "userfaultfd",
    "chroot",
    "name_to_handle",
];
/// What those may that look at the machine.
pub const LOOKING: &[&str] = &[
    "open",
    "list",
    "thread",
    "sock_diag",
    "setns net",
    "bpf map",
    "pidfd",
    "kcmp",
];
/// What those may that write files.
pub const WRITING: &[&str] = &["open for writing", "openat2", "create"];
/// What everybody may.
pub const ALWAYS: &[&str] = &["memory", "time", "random", "terminal", "name"];

type Attempt = (&'static str, fn() -> io::Result<()>);

const ATTEMPTS: &[Attempt] = &[
    ("execve", || {
        let nothing: [*const libc::c_char; 1] = [ptr::null()];
        // SAFETY: path and lists end with a null.
        done(unsafe {
            libc::execve(
                c"/proc/self/exe".as_ptr(),
                nothing.as_ptr(),
                nothing.as_ptr(),
            )
        })
    }),
    ("fork", || {
        child(libc::SYS_clone, [libc::SIGCHLD as c_long, 0])
    }),
    ("vfork by clone3", || {
        let (mut arguments, size) = ([0_u64; 8], size_of::<[u64; 8]>());
        arguments[4] = libc::SIGCHLD as u64;
        child(
            libc::SYS_clone3,
            [arguments.as_ptr() as c_long, size as c_long],
        )
    }),
    ("ptrace", || {
        call(libc::SYS_ptrace, [libc::PTRACE_TRACEME.into(), 0, 0])
    }),
    // The signal 0 does nothing.
    ("kill", || call(libc::SYS_kill, [parent(), 0, 0])),
    ("tgkill", || call(libc::SYS_tgkill, [parent(), parent(), 0])),
    ("tcp", || socket(libc::AF_INET, libc::SOCK_STREAM, 0)),
    ("unix", || socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)),
    ("route", || {
        socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)
    }),
    ("mount", || call(libc::SYS_mount, [0, 0, 0])),
    ("unshare", || {
        call(libc::SYS_unshare, [libc::CLONE_NEWNS.into(), 0, 0])
    }),
    ("setns mnt", || {
        call(libc::SYS_setns, [-1, libc::CLONE_NEWNS.into(), 0])
    }),
    ("mmap exec", || {
        map(libc::PROT_READ | libc::PROT_EXEC).map(drop)
    }),
    ("mprotect exec", || {
        let memory = map(libc::PROT_READ)?;
        call(
            libc::SYS_mprotect,
            [memory, 4096, (libc::PROT_READ | libc::PROT_EXEC).into()],
        )
    }),
    ("bpf pin", || bpf(6)),
    ("bpf by id", || bpf(13)),
    ("process_vm_readv", || {
        call(libc::SYS_process_vm_readv, [parent(), 0, 0])
    }),
    ("tiocsti", || call(libc::SYS_ioctl, [0, 0x5412, 0])),
    ("prlimit of another", || {
        call(libc::SYS_prlimit64, [parent(), 0, 0])
    }),
    ("no_new_privs off", || {
        call(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS.into(), 0, 0])
    }),
    ("io_uring", || call(libc::SYS_io_uring_setup, [0, 0, 0])),
    ("userfaultfd", || call(libc::SYS_userfaultfd, [0, 0, 0])),
    ("chroot", || call(libc::SYS_chroot, [0, 0, 0])),
    ("name_to_handle", || {
        call(libc::SYS_name_to_handle_at, [-1, 0, 0])
    }),
    ("open", || open(c"/proc/self/status", libc::O_RDONLY)),
    ("list", || {
        std::fs::read_dir("/proc/self/fd")?.try_for_each(|entry| entry.map(drop))
    }),
    ("thread", || {
        let thread = std::thread::Builder::new().name("another".into());
        thread
            .spawn(|| {})?
            .join()
            .map_err(|_| io::ErrorKind::Other.into())
    }),
    ("sock_diag", || {
        socket(libc::AF_NETLINK, libc::SOCK_DGRAM, libc::NETLINK_SOCK_DIAG)
    }),
    ("setns net", || {
        call(libc::SYS_setns, [-1, libc::CLONE_NEWNET.into(), 0])
    }),
    ("bpf map", || bpf(0)),
    ("pidfd", || {
        call(libc::SYS_pidfd_open, [std::process::id().into(), 0, 0])
    }),
    ("kcmp", || {
        let own = c_long::from(std::process::id());
        call(libc::SYS_kcmp, [own, own, 2])
    }),
    ("open for writing", || open(c"/dev/null", libc::O_WRONLY)),
    ("openat2", || call(libc::SYS_openat2, [-1, 0, 0])),
    ("create", || {
        open(c"/no/such/file", libc::O_RDONLY | libc::O_CREAT)
    }),
    ("memory", || {
        let mut memory = vec![1_u8; 64 << 20];
        memory.resize(128 << 20, 2);
        drop(std::hint::black_box(memory));
        Ok(())
    }),
    ("time", || {
        std::thread::sleep(std::time::Duration::from_millis(1));
        std::time::SystemTime::now()
            .elapsed()
            .map(drop)
            .map_err(io::Error::other)
    }),
    ("random", || {
        let map: HashMap<u8, u8> = HashMap::from([(1, 2)]);
        map.get(&1).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }),
    // It is none.
    ("terminal", || {
        call(libc::SYS_ioctl, [0, libc::TCGETS as c_long, 0])
    }),
    ("name", || {
        call(
            libc::SYS_prctl,
            [libc::PR_SET_NAME.into(), c"x".as_ptr() as c_long, 0],
        )
    }),
];

fn done(result: impl Into<i64>) -> io::Result<()> {
    match result.into() {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn call(number: c_long, [first, second, third]: [c_long; 3]) -> io::Result<()> {
    // SAFETY: where the arguments are addresses, they are null, or of what lives longer than the call; nothing that
    // these calls do to this process matters to the rest of it.
    done(unsafe { libc::syscall(number, first, second, third, 0 as c_long, 0 as c_long) })
}

fn child(number: c_long, [first, second]: [c_long; 2]) -> io::Result<()> {
    // SAFETY: the child, if there is one, ends at once.
    match unsafe { libc::syscall(number, first, second, 0 as c_long, 0 as c_long, 0 as c_long) } {
        // SAFETY: this ends the process.
        0 => unsafe { libc::_exit(0) },
        other => done(other),
    }
}

fn parent() -> c_long {
    std::os::unix::process::parent_id().into()
}

fn socket(family: c_int, kind: c_int, protocol: c_int) -> io::Result<()> {
    call(
        libc::SYS_socket,
        [family.into(), kind.into(), protocol.into()],
    )
}

fn bpf(command: c_long) -> io::Result<()> {
    let attributes = [0_u64; 16];
    call(
        libc::SYS_bpf,
        [
            command,
            attributes.as_ptr() as c_long,
            size_of_val(&attributes) as c_long,
        ],
    )
}

fn open(path: &CStr, flags: c_int) -> io::Result<()> {
    call(
        libc::SYS_openat,
        [libc::AT_FDCWD.into(), path.as_ptr() as c_long, flags.into()],
    )
}

fn map(protection: c_int) -> io::Result<c_long> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: the kernel chooses where, so it touches no memory of this process.
    let memory = unsafe { libc::mmap(ptr::null_mut(), 4096, protection, flags, -1, 0) };
    match memory {
        libc::MAP_FAILED => Err(io::Error::last_os_error()),
        memory => Ok(memory as c_long),
    }
}

/// What is done if the arguments ask for it.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let words: Vec<_> = arguments.into_iter().map(OsString::into_string).collect();
    let [Ok(first), Ok(work), Ok(what)] = &words[..] else {
        return None;
    };
    let work = Work::from_name(work).filter(|_| first == WORD)?;
    let child: Option<fn() -> anyhow::Result<ExitCode>> = match what.as_str() {
        second::WHAT => Some(second::child),
        clues::WHAT => Some(clues::child),
        _ => None,
    };
    if let Some(child) = child {
        return Some(child().unwrap_or_else(|error| {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }));
    }
    let held = confine(&Needs::of(work));
    match what.as_str() {
        "panic" => panic!("on purpose"),
        "abort" => std::process::abort(),
        _ => {}
    }
    println!("{held:?}");
    for (name, attempt) in ATTEMPTS {
        let number = attempt()
            .err()
            .map_or(0, |error| error.raw_os_error().unwrap_or(-1));
        println!("{name}: {number}");
    }
    Some(ExitCode::SUCCESS)
}
