//! What the kernel allows BPF programs, found out by loading and attaching them.

use tcptrace_common::{KernelFilter, Settings, TcpState};

use crate::{
    model::{
        finding::Finding,
        request::{HookChoice, WalkChoice},
        stuck::look::Hook,
    },
    source::{
        bpf::{
            attach::{Accept, Candidate},
            tracefs,
            tracepoint_format::{self, Problem},
            types::TypeInfo,
        },
        error::StartError,
        track,
        walk::Walker,
        watch::{
            WatchOptions,
            kernel_side::{attach_as, object},
        },
    },
};

/// Whether the offsets of members of kernel structs are known.
pub fn type_information(types: &Result<TypeInfo, String>) -> Finding {
    const NAME: &str = "type information";
    match types {
        Ok(types) if types.has_task_offsets => Finding::ok(NAME, "/sys/kernel/btf/vmlinux"),
        Ok(_) => Finding::degraded(
            NAME,
            "it lacks members that lead to descriptors: tcptrace finds holders through /proc",
        )
        .advice("nothing, where /proc is fast enough; or another kernel"),
        Err(reason) => Finding::degraded(
            NAME,
            format!(
                "{reason}: no btf hook; sockets are found by listing every network namespace, their \
                 holders through /proc; residue is not seen"
            ),
        )
        .advice("use a kernel with CONFIG_DEBUG_INFO_BTF=y"),
    }
}

/// Whether tracefs describes the classic tracepoint.
pub fn tracefs() -> Finding {
    const NAME: &str = "tracefs";
    let is_mounted = tracefs::is_mounted();
    match tracefs::with(tracepoint_format::read) {
        Ok(_) if is_mounted => Finding::ok(NAME, "sock:inet_sock_set_state is described"),
        Ok(_) => Finding::ok(
            NAME,
            "not mounted: tcptrace mounts it for itself alone while it starts",
        ),
        Err(Problem::NoTracefs) => Finding::degraded(
            NAME,
            "not mounted, and tcptrace could not mount it for itself: it cannot fall back on --hook \
             tracepoint",
        )
        .advice("mount -t tracefs tracefs /sys/kernel/tracing"),
        Err(Problem::Refused(path, reason)) => Finding::degraded(
            NAME,
            format!(
                "{}: {reason}: tcptrace cannot fall back on --hook tracepoint",
                path.display()
            ),
        )
        .advice("run tcptrace as root, or with CAP_DAC_READ_SEARCH"),
        Err(Problem::NoTracepoint) => Finding::degraded(
            NAME,
            "no sock:inet_sock_set_state: --hook tracepoint does not work",
        )
        .advice("use Linux 4.16 or later with event tracing (CONFIG_TRACING)"),
        Err(Problem::Field(reason)) => {
            Finding::degraded(NAME, reason).advice("nothing, where hook btf works")
        }
    }
}

fn options() -> WatchOptions {
    WatchOptions {
        state: TcpState::CloseWait,
        hook: HookChoice::Auto,
        filter: KernelFilter::default(),
        filters_all: true,
        // Small: `map_size` alone tries the full size.
        max_sockets: Some(1024),
        messages: false,
    }
}

/// Loads and attaches the program that watches transitions.
fn try_hook(hook: Hook, modern: bool, types: Option<&TypeInfo>) -> Result<(), String> {
    let candidate = Candidate {
        hook,
        modern,
        cgroup_helper: false,
        accept: Accept::Listener,
    };
    match attach_as(&candidate, &options(), types) {
        Ok(_) => Ok(()),
        Err(
            StartError::NoTracefs { .. }
            | StartError::TracefsRefused { .. }
            | StartError::NoTracepoint { .. }
            | StartError::TracepointFormat { .. },
        ) => Err("no tracefs or no tracepoint".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Both hooks and the cookie helper. One hook is enough.
pub fn hooks(types: Option<&TypeInfo>) -> Vec<Finding> {
    let with_cookie = types.map(|types| try_hook(Hook::Btf, true, Some(types)));
    let without = match &with_cookie {
        Some(Err(_)) => types.map(|types| try_hook(Hook::Btf, false, Some(types))),
        _ => None,
    };
    let btf = match (&with_cookie, &without) {
        (Some(Ok(())), _) | (_, Some(Ok(()))) => Ok(()),
        (_, Some(Err(reason))) => Err(reason.clone()),
        _ => Err("no type information".to_owned()),
    };
    let tracepoint = try_hook(Hook::Tracepoint, false, types);
    let nothing = btf.is_err() && tracepoint.is_err();
    let finding = |name, result: &Result<(), String>, lost: &str| match result {
        Ok(()) => Finding::ok(name, "loads and attaches"),
        Err(reason) if nothing => Finding::missing(name, reason.clone()).advice(
            "use Linux 5.8 or later; in a container, let its seccomp profile allow bpf() and \
             perf_event_open()",
        ),
        Err(reason) => Finding::degraded(name, format!("{lost}: {reason}"))
            .advice("nothing, while the other hook works"),
    };
    let mut findings = vec![finding(
        "hook btf",
        &btf,
        "the tracepoint hook is used, which costs more",
    )];
    if btf.is_ok() {
        findings.push(match with_cookie {
            Some(Ok(())) => Finding::ok("socket cookie", "bpf_get_socket_cookie"),
            _ => Finding::degraded(
                "socket cookie",
                "this kernel (before 5.12) does not let tracing programs read it: tcptrace \
                 distinguishes sockets by namespace and addresses",
            )
            .advice("use Linux 5.12 or later"),
        });
    }
    findings.push(finding(
        "hook tracepoint",
        &tracepoint,
        "tcptrace cannot fall back on it",
    ));
    findings
}

/// The ways to find holders; the first that works is used.
pub fn holders() -> Vec<Finding> {
    const NAME: &str = "holders";
    let attempt = |way| {
        Walker::start(way, &[])
            .map(drop)
            .map_err(|error| error.to_string())
    };
    let (tasks, files) = (attempt(WalkChoice::Tasks), attempt(WalkChoice::Files));
    let chosen = match (&tasks, &files) {
        (Ok(()), _) => Finding::ok(
            NAME,
            "found by walk_tasks: the kernel walks descriptor tables",
        ),
        (_, Ok(())) => Finding::degraded(
            NAME,
            "found by walk_files, which is slower: walk_tasks needs Linux 5.17",
        ),
        _ => Finding::degraded(
            NAME,
            "found through /proc/*/fd, which is slower and shows no residue: no BPF iterator loads",
        ),
    };
    let finding = |name, result: Result<(), String>| match result {
        Ok(()) => Finding::ok(name, "loads and attaches"),
        Err(reason) => Finding::degraded(name, reason)
            .advice("use Linux 5.17 or later; in a container, let its seccomp profile allow bpf()"),
    };
    vec![
        finding("iterator walk_tasks", tasks).part_of(NAME),
        finding("iterator walk_files", files).part_of(NAME),
        chosen,
    ]
}

/// The ways to detect who accepts, for `log` and `hist`; the first that works is used.
pub fn accepting() -> Vec<Finding> {
    const NAME: &str = "accept";
    let types = TypeInfo::read_for_tracking().ok();
    let attempt = |accept| track::accept_works(accept, types.as_ref());
    let (fexit, syscall) = (attempt(Accept::Fexit), attempt(Accept::Syscall));
    let chosen = match (&fexit, &syscall) {
        (Ok(()), _) => Finding::ok(NAME, "detected by fexit"),
        (_, Ok(())) => Finding::ok(NAME, "detected by syscall, except accepts by io_uring"),
        _ => Finding::degraded(
            NAME,
            "not detected: a connection belongs to the process that listens",
        ),
    };
    let finding = |name, result: Result<(), String>| match result {
        Ok(()) => Finding::ok(name, "loads and attaches"),
        Err(reason) => Finding::degraded(name, reason).advice(
            "nothing, where no server accepts by io_uring; in a container, a seccomp profile that \
             allows bpf() and perf_event_open()",
        ),
    };
    vec![
        finding("accept by fexit", fexit).part_of(NAME),
        finding("accept by syscall", syscall).part_of(NAME),
        chosen,
    ]
}

/// Whether the map can be made with the default number of sockets.
pub fn map_size(types: Option<&TypeInfo>) -> Finding {
    let full = WatchOptions {
        max_sockets: None,
        ..options()
    };
    let hook = if types.is_some() {
        Hook::Btf
    } else {
        Hook::Tracepoint
    };
    let settings = types.map_or_else(Settings::default, |types| types.settings);
    match object(&full, settings, types, hook) {
        Ok(_) => Finding::ok("map size", "the default number of sockets fits"),
        Err(error) => Finding::missing("map size", error.to_string())
            .advice("give a smaller --max-sockets, or allow more locked memory (ulimit -l)"),
    }
}
