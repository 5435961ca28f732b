//! Machines that lack what tcptrace expects: it mounts what it may, and names what is missing otherwise.

use std::{ffi::CStr, io, os::unix::process::CommandExt as _, process::Command};

use anyhow::{Context as _, Result, ensure};
use rustix::{
    fs::{Mode, OFlags, open},
    mount::{MountFlags, UnmountFlags, mount, unmount},
    process::{Signal, set_parent_process_death_signal},
    thread::{CapabilitySet, UnshareFlags, remove_capability_from_bounding_set, unshare_unsafe},
};
use serde_json::Value;
use testbed::{Family, Stage};

use crate::{
    harness::{
        case::Cases,
        place::private_mounts,
        scratch::Scratch,
        user::{ToolCopy, become_nobody},
        verdict::{self, missing},
    },
    run::{
        snapshot::Snapshot,
        tool::{Outcome, Tool, binary},
    },
};

pub fn add(cases: &mut Cases) {
    cases.add("start_without_tracefs_and_types", without_tracefs);
    cases
        .add("start_where_tracefs_is_refused", tracefs_refused)
        .here();
    cases.add("start_without_proc", without_proc).here();
    cases
        .add("start_where_proc_cannot_be_mounted", no_proc)
        .here();
    cases
        .add("start_in_a_user_namespace", user_namespace)
        .here();
}

/// What traces and ends at once.
const TRACING: [&[&str]; 3] = [
    &["stuck", "--duration", "1ms"],
    &["log", "--duration", "1ms"],
    &["hist", "--duration", "1ms"],
];
/// What looks once.
const LOOKING: [&[&str]; 2] = [&["stuck", "--once"], &["states", "--once"]];

/// Starts it with these arguments; `enter` runs in the child, in a mount namespace of its own.
fn start(
    arguments: &[&str],
    enter: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) -> Result<Tool> {
    let (mut command, mut enter) = (Command::new(binary()), enter);
    command.args(arguments);
    let prepare = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        private_mounts()?;
        enter()
    };
    // SAFETY: between fork and exec, the closures only make system calls, on constant strings. They allocate nothing
    // and take no lock.
    unsafe { command.pre_exec(prepare) };
    Tool::start_command(command)
}

fn cover(at: &CStr) -> io::Result<()> {
    Ok(mount(
        c"none",
        at,
        c"tmpfs",
        MountFlags::empty(),
        None::<&CStr>,
    )?)
}

/// Neither type information nor tracefs, whether the machine has mounted that or not.
fn without_types_and_tracefs() -> io::Result<()> {
    for at in [c"/sys/kernel/tracing", c"/sys/kernel/debug"] {
        // It fails where nothing is mounted.
        let _ = unmount(at, UnmountFlags::DETACH);
    }
    cover(c"/sys/kernel/btf")
}

/// It mounts tracefs for itself, in each command alike, and the machine sees nothing of it.
fn without_tracefs() -> Result<()> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode().to_string();
    let words = [
        "stuck",
        "--json",
        "--older-than",
        "0s",
        "--interval",
        "100ms",
        "--netns",
        &netns,
    ];
    let mut tool = start(&words, without_types_and_tracefs)?;
    tool.fresh()?;
    let truths = stage.server_leak(Family::Ipv4, 2)?;
    let snapshot = tool.until("both sockets", |now| now.sockets.len() == truths.len())?;
    let unseen = snapshot.sockets.iter().filter(|one| one.age != "exact");
    let seen = missing(unseen.count() as u64, || {
        format!("not all were seen to enter the state: {snapshot:#?}")
    });
    verdict::judge(snapshot.tracing.recursion_misses.unwrap_or(0), seen)?;
    tool.end()?;
    for words in TRACING {
        start(words, without_types_and_tracefs)?.wait()?.success()?;
    }
    let doctor = start(&["doctor", "--json"], without_types_and_tracefs)?;
    let report: Value = serde_json::from_str(&doctor.wait()?.success()?.stdout)?;
    for name in ["tracefs", "hook tracepoint"] {
        let found = finding(&report, name)?;
        ensure!(found["status"] == "ok", "{found}");
    }
    let now = std::fs::read_to_string("/proc/self/mountinfo")?;
    ensure!(now == mounts, "a mount is left: {now}");
    Ok(())
}

fn finding<'a>(report: &'a Value, name: &str) -> Result<&'a Value> {
    let mut all = report["findings"].as_array().into_iter().flatten();
    let found = all.find(|finding| finding["name"] == name);
    found.with_context(|| format!("no finding {name}: {report}"))
}

/// Who may not read it is not told to mount it.
fn tracefs_refused() -> Result<()> {
    let copy = ToolCopy::new()?;
    let mut command = Command::new(copy.path());
    command.args(["stuck", "--hook", "tracepoint", "--duration", "1ms"]);
    let capabilities = CapabilitySet::BPF | CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN;
    command.current_dir("/");
    // SAFETY: as in `start`.
    unsafe { command.pre_exec(move || become_nobody(capabilities)) };
    let outcome = Tool::start_command(command)?.wait()?;
    ensure!(outcome.code()? == 1, "{outcome:?}");
    for word in [
        "tracefs may not be read: /sys/kernel/tracing",
        "CAP_DAC_READ_SEARCH",
    ] {
        ensure!(outcome.stderr.contains(word), "no {word}: {outcome:?}");
    }
    Ok(())
}

fn no_mount_of_proc() -> io::Result<()> {
    Ok(unmount(c"/proc", UnmountFlags::DETACH)?)
}

/// In a mount namespace without `/proc` it mounts its own.
fn without_proc() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode().to_string();
    let truths = stage.server_leak(Family::Ipv4, 2)?;
    let words = ["stuck", "--once", "--json", "--older-than", "0s", "--netns"];
    let outcome = start(&[&words[..], &[&netns]].concat(), no_mount_of_proc)?.wait()?;
    let snapshots: Vec<Snapshot> = outcome.success()?.snapshots()?;
    ensure!(snapshots[0].sockets.len() == truths.len(), "{snapshots:#?}");
    for words in TRACING.into_iter().chain(LOOKING) {
        start(words, no_mount_of_proc)?.wait()?.success()?;
    }
    Ok(())
}

/// Where that is refused, each command names `/proc`, and not something that follows from it.
fn no_proc() -> Result<()> {
    let enter = || {
        no_mount_of_proc()?;
        Ok(remove_capability_from_bounding_set(
            CapabilitySet::SYS_ADMIN,
        )?)
    };
    for words in TRACING.into_iter().chain(LOOKING) {
        let outcome = start(words, enter)?.wait()?;
        ensure!(outcome.code()? == 1, "{words:?}: {outcome:?}");
        let first = outcome.stderr.lines().next().unwrap_or_default();
        ensure!(
            first.contains("/proc is not mounted"),
            "{words:?}: {outcome:?}"
        );
    }
    let outcome = start(&["doctor", "--json"], enter)?.wait()?;
    ensure!(outcome.code()? == 1, "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout)?;
    let found = finding(&report, "/proc")?;
    ensure!(found["status"] == "missing", "{found}");
    // A recording needs nothing of the machine.
    let scratch = Scratch::new()?;
    let file = scratch.file("empty.jsonl");
    std::fs::write(&file, "")?;
    start(&["replay", &file], enter)?.wait()?.success()?;
    Ok(())
}

/// Root of a user namespace alone.
fn enter_user_namespace() -> io::Result<()> {
    // SAFETY: this process has one thread, and this flag affects neither memory nor descriptors.
    unsafe { unshare_unsafe(UnshareFlags::NEWUSER) }?;
    for (file, text) in [
        (c"/proc/self/setgroups", "deny"),
        (c"/proc/self/uid_map", "0 0 1"),
        (c"/proc/self/gid_map", "0 0 1"),
    ] {
        let file = open(file, OFlags::WRONLY, Mode::empty())?;
        rustix::io::write(file, text.as_bytes())?;
    }
    Ok(())
}

/// It is said that capabilities do not count there, and nobody is told to become root, or to mount something.
fn user_namespace() -> Result<()> {
    let named = |outcome: &Outcome| {
        let text = &outcome.stderr;
        text.contains("user namespace") && !text.contains("sudo") && !text.contains("mount -t")
    };
    for words in TRACING {
        let outcome = start(words, enter_user_namespace)?.wait()?;
        ensure!(outcome.code()? == 1 && named(&outcome), "{outcome:?}");
    }
    for words in LOOKING {
        let words = [words, &["--json"]].concat();
        let outcome = start(&words, enter_user_namespace)?.wait()?.success()?;
        let shown: Value = serde_json::from_str(&outcome.stdout)?;
        let mut caveats = shown["caveats"].as_array().into_iter().flatten();
        ensure!(
            caveats.any(|caveat| caveat["caveat"] == "user_namespace"),
            "{words:?}: {shown}"
        );
    }
    let outcome = start(&["doctor", "--json"], enter_user_namespace)?.wait()?;
    ensure!(outcome.code()? == 1, "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout)?;
    let found = finding(&report, "capabilities")?;
    ensure!(
        found["status"] == "missing" && found.to_string().contains("user namespace"),
        "{found}"
    );
    Ok(())
}
