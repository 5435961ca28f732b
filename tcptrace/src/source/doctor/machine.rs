//! What the machine is and offers, apart from what its kernel allows BPF programs.

use std::{fs, path::Path, time::Duration};

use rustix::{
    process::{Resource, getrlimit},
    system::uname,
};
use tcptrace_common::TcpState;

use crate::{
    model::finding::Finding,
    source::{
        diag::sock_diag::SockDiag,
        error::StartError,
        machine::{
            cgroup, netns, pid_namespace, privileges, restrictions, time_namespace, user_namespace,
        },
    },
};

/// Which kernel runs, and on what.
pub fn kernel() -> Finding {
    let name = uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let detail = format!("Linux {} on {}", text(name.release()), text(name.machine()));
    Finding::ok("kernel", detail)
}

/// The time namespace, unless it is the initial one.
pub fn time_namespace() -> Option<Finding> {
    const NAME: &str = "time namespace";
    let offsets = match time_namespace::offsets() {
        Ok(offsets) => (*offsets)?,
        Err(reason) => {
            let advice = "run tcptrace as a child process, sh -c 'tcptrace; exit $?', or outside of \
                          the time namespace";
            return Some(Finding::missing(NAME, reason.clone()).advice(advice));
        }
    };
    let by = Duration::from_nanos(offsets.monotonic_ns.unsigned_abs());
    let shift = match offsets.monotonic_ns {
        0 => "equals the kernel's".into(),
        1.. => format!("is {by:?} ahead of the kernel's"),
        _ => format!("is {by:?} behind the kernel's"),
    };
    let detail =
        format!("not the initial one: CLOCK_MONOTONIC {shift}; tcptrace shows the kernel's");
    Some(Finding::ok(NAME, detail))
}

/// What this process may do.
pub fn capabilities() -> Finding {
    if let Some(inode) = user_namespace::nested() {
        let detail = format!(
            "this is a user namespace ({inode}): capabilities in it are none over the kernel, and not even \
             root may load BPF programs"
        );
        return Finding::missing("capabilities", detail).advice(
            "run tcptrace outside of it, as root of the machine; in a container without a user namespace of \
             its own (not a rootless one, docker: --userns=host)",
        );
    }
    let missing = privileges::missing();
    if !missing.needed.is_empty() {
        let names = [missing.needed, missing.useful].concat().join(", ");
        return Finding::missing("capabilities", format!("{names} missing"))
            .advice("run as root: sudo tcptrace doctor");
    }
    if missing.useful.is_empty() {
        return Finding::ok("capabilities", "all present");
    }
    let names = missing.useful.join(", ");
    let lost = "descriptors of other users, other network namespaces or details may be missing";
    Finding::degraded("capabilities", format!("{names} missing: {lost}"))
        .advice("run tcptrace as root, or add them to AmbientCapabilities= of the service")
}

/// Whether programs may read the kernel.
pub fn lockdown() -> Finding {
    if restrictions::locked_down() {
        return Finding::missing(
            "lockdown",
            "confidentiality: no BPF program may read kernel memory",
        )
        .advice("boot with lockdown=integrity or lockdown=none");
    }
    let mode = restrictions::lockdown();
    Finding::ok("lockdown", mode.unwrap_or_else(|| "not reported".into()))
}

/// The limits of this process that matter here.
pub fn limits() -> Finding {
    let shown = |limit: Option<u64>| limit.map_or_else(|| "unlimited".into(), |n| n.to_string());
    let files = getrlimit(Resource::Nofile).current;
    let memory = getrlimit(Resource::Memlock).current;
    let detail = format!(
        "{} open files, {} bytes of locked memory",
        shown(files),
        shown(memory)
    );
    // The programs, maps, a namespace, a netlink socket and the terminal.
    if files.is_some_and(|files| files < 64) {
        return Finding::degraded("limits", detail)
            .advice("raise the limit of open files: ulimit -n 1024");
    }
    Finding::ok("limits", detail)
}

/// Whether the kernel lists sockets.
pub fn sock_diag() -> Finding {
    let own = netns::inode_of(Path::new("/proc/self/ns/net"));
    let asked = own.and_then(|own| {
        let mut diag = SockDiag::open(own)?;
        diag.in_state(TcpState::CloseWait, None)
    });
    match asked {
        Ok(sockets) => {
            let detail = format!("answers; {} in CLOSE_WAIT in this namespace", sockets.len());
            Finding::ok("sock_diag", detail)
        }
        Err(error) => {
            Finding::missing("sock_diag", format!("the kernel lists no sockets: {error}"))
                .advice("modprobe tcp_diag (CONFIG_INET_TCP_DIAG)")
        }
    }
}

/// Whether processes outside can be seen, and have numbers; `proc`: whether `/proc` shows those of this
/// namespace.
pub fn pid_namespace(proc: &Result<(), StartError>) -> Finding {
    const NAME: &str = "PID namespace";
    match proc {
        Ok(()) => {}
        Err(StartError::NoProc { reason }) => {
            let detail =
                format!("not mounted, and tcptrace could not mount it for itself: {reason}");
            return Finding::missing("/proc", detail).advice("mount -t proc proc /proc");
        }
        Err(error) => {
            let error = error.to_string();
            let detail = error.lines().next().unwrap_or_default();
            return Finding::missing(NAME, detail).advice("mount -t proc proc /proc");
        }
    }
    match pid_namespace::nested() {
        None => Finding::ok(NAME, "the initial one: every process has a number here"),
        Some(inode) => Finding::degraded(
            NAME,
            format!(
                "{inode}, not the initial one: processes outside of it have no number here, and what \
                 only they hold is not seen"
            ),
        )
        .advice("run tcptrace outside the container, or in the host's PID namespace (docker: --pid=host, Kubernetes: hostPID)"),
    }
}

/// How many network namespaces can be seen.
pub fn namespaces() -> Finding {
    match netns::list() {
        Ok(found) => {
            let detail = format!("{} seen", found.paths.len());
            match found.refusal() {
                None => Finding::ok("namespaces", detail),
                refusal => Finding {
                    caveat: refusal,
                    ..Finding::degraded("namespaces", detail).advice(
                        "run tcptrace as root of the machine, or with CAP_SYS_PTRACE and CAP_SYS_ADMIN",
                    )
                },
            }
        }
        Err(error) => Finding::missing(
            "namespaces",
            format!("/proc, which leads to them, cannot be read: {error}"),
        )
        .advice("mount -t proc proc /proc"),
    }
}

/// Whether control groups can be named.
pub fn cgroups() -> Finding {
    match (cgroup::describe(), cgroup::caveat(None)) {
        (Some(way), None) => Finding::ok("control groups", way),
        (Some(way), caveat) => Finding {
            caveat,
            ..Finding::degraded("control groups", way)
                .advice("run tcptrace in the machine's cgroup namespace (docker: --cgroupns=host)")
        },
        (None, _) => Finding::degraded(
            "control groups",
            "no cgroup v2 hierarchy: containers can be identified only by the cgroups of their \
             processes",
        )
        .advice("mount -t cgroup2 none /sys/fs/cgroup"),
    }
}

/// Settings that decide how long a socket may stay. They are shown without a verdict.
pub fn sysctls() -> Vec<Finding> {
    let read = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/net/ipv4/{name}"));
        text.map_or_else(|_| "?".into(), |text| text.trim().to_owned())
    };
    let keepalive = format!(
        "first probe after {} s, then every {} s, {} times; only for sockets with SO_KEEPALIVE",
        read("tcp_keepalive_time"),
        read("tcp_keepalive_intvl"),
        read("tcp_keepalive_probes")
    );
    let fin = format!(
        "{} s: after this time, the peer of a socket in CLOSE_WAIT has dropped its end",
        read("tcp_fin_timeout")
    );
    vec![
        Finding::ok("tcp_keepalive", keepalive),
        Finding::ok("tcp_fin_timeout", fin),
    ]
}
