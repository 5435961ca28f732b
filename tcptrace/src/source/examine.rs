//! Examining the machine: what it allows is tried, not concluded from its version.

use std::{fs, path::Path};

use rustix::{
    process::{Resource, getrlimit},
    system::uname,
};
use tcptrace_common::{KernelFilter, Settings, TcpState};

use super::{
    cgroup, load,
    load::{BTF_PROGRAM, HookChoice, Iterator, Options, TRACEPOINT_PROGRAM, TypeInfo},
    log::{self, Accept},
    netns, privileges,
    sock_diag::SockDiag,
    tracepoint_format::{self, Problem},
};
use crate::model::{finding::Finding, look::Hook};

/// Examines everything that matters, in the order in which one thing needs another.
#[must_use]
pub fn all() -> Vec<Finding> {
    load::lift_memory_limit();
    let types = TypeInfo::read();
    let mut findings = vec![
        kernel(),
        capabilities(),
        lockdown(),
        type_information(&types),
    ];
    let types = types.ok();
    findings.push(tracefs());
    findings.extend(hooks(types.as_ref()));
    findings.extend(holders(types.as_ref()));
    findings.extend(accepting());
    findings.extend([
        map_size(types.as_ref()),
        limits(),
        sock_diag(),
        namespaces(),
        cgroups(),
    ]);
    findings.extend(sysctls());
    findings
}

fn kernel() -> Finding {
    let name = uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let detail = format!("Linux {} on {}", text(name.release()), text(name.machine()));
    Finding::ok("kernel", detail)
}

fn capabilities() -> Finding {
    let missing = privileges::missing();
    if !missing.needed.is_empty() {
        let names = [missing.needed, missing.useful].concat().join(", ");
        return Finding::missing("capabilities", format!("{names} missing"))
            .advice("run it as root: sudo tcptrace doctor");
    }
    if missing.useful.is_empty() {
        return Finding::ok("capabilities", "all there");
    }
    let names = missing.useful.join(", ");
    let lost = "other users' descriptors, other network namespaces or details may not be seen";
    Finding::degraded("capabilities", format!("{names} missing: {lost}"))
        .advice("run it as root, or add them to the service's AmbientCapabilities=")
}

fn lockdown() -> Finding {
    if load::locked_down() {
        return Finding::missing(
            "lockdown",
            "confidentiality: no program may read the kernel",
        )
        .advice("boot with lockdown=integrity or none");
    }
    let text = fs::read_to_string("/sys/kernel/security/lockdown");
    let chosen = text.ok().and_then(|text| {
        let (_, rest) = text.split_once('[')?;
        Some(rest.split_once(']')?.0.to_owned())
    });
    Finding::ok("lockdown", chosen.unwrap_or_else(|| "none known".into()))
}

fn type_information(types: &Result<TypeInfo, String>) -> Finding {
    const NAME: &str = "type information";
    match types {
        Ok(types) if types.has_task_offsets => Finding::ok(NAME, "/sys/kernel/btf/vmlinux"),
        Ok(_) => Finding::degraded(
            NAME,
            "no members on the way to descriptors: holders by /proc",
        ),
        Err(reason) => Finding::degraded(
            NAME,
            format!("{reason}: no btf hook, holders by /proc, every look lists all namespaces"),
        )
        .advice("a kernel with CONFIG_DEBUG_INFO_BTF=y has it"),
    }
}

fn tracefs() -> Finding {
    const NAME: &str = "tracefs";
    match tracepoint_format::read() {
        Ok(_) => Finding::ok(NAME, "sock:inet_sock_set_state is described"),
        Err(Problem::NoTracefs) => {
            Finding::degraded(NAME, "not mounted: no --hook tracepoint to fall back on")
                .advice("mount -t tracefs tracefs /sys/kernel/tracing")
        }
        Err(Problem::NoTracepoint) => {
            Finding::degraded(NAME, "no sock:inet_sock_set_state: no --hook tracepoint")
                .advice("it came with Linux 4.16 and needs event tracing")
        }
        Err(Problem::Field(reason)) => Finding::degraded(NAME, reason),
    }
}

fn options() -> Options {
    Options {
        state: TcpState::CloseWait,
        hook: HookChoice::Auto,
        filter: KernelFilter::default(),
        // Small: the full size is tried once, by itself.
        max_sockets: Some(1024),
        log: false,
    }
}

/// Loads and attaches the program for typed arguments.
fn try_btf(types: &TypeInfo, has_cookie: u32) -> Result<(), String> {
    let settings = Settings {
        has_cookie,
        ..types.settings
    };
    let object = load::object(&options(), settings, Some(types), Hook::Btf);
    let mut ebpf = object.map_err(|error| error.to_string())?;
    load::attach_btf(&mut ebpf, types).map_err(|e| load::refused(BTF_PROGRAM, &e).to_string())
}

fn try_tracepoint(types: Option<&TypeInfo>) -> Result<(), String> {
    let layout = tracepoint_format::read().map_err(|_| "no tracefs or no tracepoint".to_owned())?;
    let settings = load::tracepoint_settings(types, layout);
    let object = load::object(&options(), settings, types, Hook::Tracepoint);
    let mut ebpf = object.map_err(|error| error.to_string())?;
    load::attach_tracepoint(&mut ebpf)
        .map_err(|e| load::refused(TRACEPOINT_PROGRAM, &e).to_string())
}

/// Both hooks and the cookie helper. One hook is enough.
fn hooks(types: Option<&TypeInfo>) -> Vec<Finding> {
    let with_cookie = types.map(|types| try_btf(types, 1));
    let without = match &with_cookie {
        Some(Err(_)) => types.map(|types| try_btf(types, 0)),
        _ => None,
    };
    let btf = match (&with_cookie, &without) {
        (Some(Ok(())), _) | (_, Some(Ok(()))) => Ok(()),
        (_, Some(Err(reason))) => Err(reason.clone()),
        _ => Err("no type information".to_owned()),
    };
    let tracepoint = try_tracepoint(types);
    let nothing = btf.is_err() && tracepoint.is_err();
    let finding = |name, result: &Result<(), String>, lost: &str| match result {
        Ok(()) => Finding::ok(name, "loads and attaches"),
        Err(reason) if nothing => Finding::missing(name, reason.clone()),
        Err(reason) => Finding::degraded(name, format!("{lost}: {reason}")),
    };
    let mut findings = vec![finding("hook btf", &btf, "the dearer hook is used")];
    if btf.is_ok() {
        findings.push(match with_cookie {
            Some(Ok(())) => Finding::ok("socket cookie", "bpf_get_socket_cookie"),
            _ => Finding::degraded(
                "socket cookie",
                "tracing programs may not ask for it (before 5.12): sockets are told apart by \
                 namespace and addresses",
            ),
        });
    }
    findings.push(finding("hook tracepoint", &tracepoint, "no fallback"));
    findings
}

/// The ways to find holders; the first that works is used.
fn holders(types: Option<&TypeInfo>) -> Vec<Finding> {
    const NAME: &str = "holders";
    if !load::in_initial_pid_namespace() {
        let detail = "by /proc, which is slower: this is not the machine's own PID namespace";
        return vec![Finding::degraded(NAME, detail).advice("run it outside of the container")];
    }
    let attempt = |iterator| {
        let types = types.filter(|types| types.has_task_offsets);
        let types = types.ok_or_else(|| "no type information".to_owned())?;
        let object = load::object(&options(), types.settings, Some(types), Hook::Btf);
        let mut ebpf = object.map_err(|error| error.to_string())?;
        load::iterator(&mut ebpf, iterator, types).map_err(|error| super::error::refusal(&error))
    };
    let (walk, each) = (attempt(Iterator::Walk), attempt(Iterator::EachFile));
    let chosen = match (&walk, &each) {
        (Ok(()), _) => Finding::ok(NAME, "by walk_files: the kernel walks descriptor tables"),
        (_, Ok(())) => Finding::degraded(
            NAME,
            "by each_file, which is slower: no bpf_loop (before 5.17)",
        ),
        _ => Finding::degraded(NAME, "by /proc/*/fd, which is slower: no iterator loads"),
    };
    let finding = |name, result: Result<(), String>| match result {
        Ok(()) => Finding::ok(name, "loads and attaches"),
        Err(reason) => Finding::degraded(name, reason),
    };
    vec![
        finding("iterator walk_files", walk),
        finding("iterator each_file", each),
        chosen,
    ]
}

/// The ways to learn who accepts, for `log`; the first that works is used.
fn accepting() -> Vec<Finding> {
    let types = TypeInfo::read_for_log().ok();
    let attempt = |accept| log::accept_works(accept, types.as_ref());
    let (fexit, syscall) = (attempt(Accept::Fexit), attempt(Accept::Syscall));
    let chosen = match (&fexit, &syscall) {
        (Ok(()), _) => Finding::ok("accept", "log sees it by fexit"),
        (_, Ok(())) => Finding::ok("accept", "log sees it by syscall, but not io_uring's"),
        _ => Finding::degraded(
            "accept",
            "log does not see it: a connection counts as its listener's",
        ),
    };
    let finding = |name, result: Result<(), String>| match result {
        Ok(()) => Finding::ok(name, "loads and attaches"),
        Err(reason) => Finding::degraded(name, reason),
    };
    vec![
        finding("accept by fexit", fexit),
        finding("accept by syscall", syscall),
        chosen,
    ]
}

fn map_size(types: Option<&TypeInfo>) -> Finding {
    let full = Options {
        max_sockets: None,
        ..options()
    };
    let hook = if types.is_some() {
        Hook::Btf
    } else {
        Hook::Tracepoint
    };
    let settings = types.map_or_else(Settings::default, |types| types.settings);
    match load::object(&full, settings, types, hook) {
        Ok(_) => Finding::ok("map size", "room for all sockets by default"),
        Err(error) => Finding::missing("map size", error.to_string())
            .advice("give --max-sockets, or raise the limit of locked memory (ulimit -l)"),
    }
}

fn limits() -> Finding {
    let shown = |limit: Option<u64>| limit.map_or_else(|| "unlimited".into(), |n| n.to_string());
    let files = getrlimit(Resource::Nofile).current;
    let memory = getrlimit(Resource::Memlock).current;
    let detail = format!("{} files, {} bytes locked", shown(files), shown(memory));
    // The programs, maps, a namespace, a netlink socket and the terminal.
    if files.is_some_and(|files| files < 64) {
        return Finding::degraded("limits", detail).advice("ulimit -n 1024");
    }
    Finding::ok("limits", detail)
}

fn sock_diag() -> Finding {
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
        Err(error) => Finding::missing("sock_diag", error.to_string())
            .advice("modprobe tcp_diag (CONFIG_INET_TCP_DIAG)"),
    }
}

fn namespaces() -> Finding {
    match netns::list() {
        Ok(found) => match found.refusal() {
            None => Finding::ok("namespaces", format!("{} seen", found.paths.len())),
            Some(refusal) => {
                let detail = format!("{} seen; {refusal}", found.paths.len());
                Finding::degraded("namespaces", detail)
            }
        },
        Err(error) => Finding::missing("namespaces", format!("/proc: {error}")),
    }
}

fn cgroups() -> Finding {
    match cgroup::root() {
        Some(root) => Finding::ok("control groups", root.display().to_string()),
        None => Finding::degraded(
            "control groups",
            "no unified hierarchy: containers are named by their processes alone",
        ),
    }
}

/// Settings that decide how long a socket may stay; not ours to judge.
fn sysctls() -> Vec<Finding> {
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
        "{} s: then the peer's side of a socket in CLOSE_WAIT is gone",
        read("tcp_fin_timeout")
    );
    vec![
        Finding::ok("tcp_keepalive", keepalive),
        Finding::ok("tcp_fin_timeout", fin),
    ]
}
