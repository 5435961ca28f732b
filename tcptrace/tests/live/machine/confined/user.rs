//! An ordinary user with capabilities sees what root sees, or is told what is missing.

use std::{os::unix::process::CommandExt as _, process::Command, time::Instant};

use anyhow::{Result, ensure};
use rustix::thread::{CapabilitySet, capabilities};
use tcptrace::model::sandbox::Work;
use testbed::{Family, Stage, Truth, clock::patience};

use super::{bit, check};
use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
        user::{ToolCopy, become_nobody},
    },
    run::{
        log::{self, Log},
        snapshot::{Snapshot, Socket},
        tool::Tool,
    },
};

pub fn add(cases: &mut Cases) {
    cases
        .add_in(BOTH, "confined_as_an_ordinary_user", ordinary_user)
        .here_in(Place::Tracepoint);
    cases
        .add("confined_with_capabilities_of_the_file", of_the_file)
        .here();
    cases
        .add("confined_with_two_capabilities", two_capabilities)
        .here();
    cases.add("confined_through_proc", through_proc).here();
}

/// Starts a copy of the tool as an ordinary user with these capabilities.
fn start_as_nobody(
    copy: &ToolCopy,
    place: Place,
    kept: CapabilitySet,
    words: &[&str],
) -> Result<Tool> {
    let mut command = Command::new(copy.path());
    command.args(words).args(place.arguments());
    place.prepare(&mut command);
    command.current_dir("/");
    // SAFETY: between fork and exec, the closure only makes system calls.
    unsafe { command.pre_exec(move || become_nobody(kept)) };
    Tool::start_command(command)
}

fn all_of_the_list() -> Result<CapabilitySet> {
    let kept = Work::Stuck.keeps().0.iter();
    let kept = kept.fold(CapabilitySet::empty(), |all, one| all | bit(*one));
    Ok(kept | for_maps()?)
}

/// Before 5.11 maps count as locked memory, and to raise the limit takes this. Root need not have it here.
fn for_maps() -> Result<CapabilitySet> {
    Ok(capabilities(None)?.permitted & CapabilitySet::SYS_RESOURCE)
}

const WATCH: [&str; 6] = [
    "stuck",
    "--json",
    "--older-than",
    "0s",
    "--interval",
    "200ms",
];

/// With these capabilities an ordinary user sees what root sees: also in a namespace that appears later, of processes
/// of other users, and in accept queues.
fn ordinary_user(place: Place) -> Result<()> {
    let copy = ToolCopy::new()?;
    sees_all(place, &copy, all_of_the_list()?)
}

/// The same where the program has them, and not the user. The kernel then makes files about the process in `/proc`
/// those of root.
fn of_the_file() -> Result<()> {
    let copy = ToolCopy::with_capabilities(all_of_the_list()?)?;
    sees_all(Place::AsIs, &copy, CapabilitySet::empty())
}

fn sees_all(place: Place, copy: &ToolCopy, kept: CapabilitySet) -> Result<()> {
    let start = |words: &[&str]| start_as_nobody(copy, place, kept, words);
    let mut stuck = start(&WATCH)?;
    let mut traced = start(&["log", "--json"])?;
    stuck.fresh()?;
    traced.until_said(log::READY)?;
    for (pid, work) in [(stuck.pid(), Work::Stuck), (traced.pid(), Work::Log)] {
        check(pid, work, &[])?;
    }
    let mut stage = Stage::new()?;
    let mut truths = stage.server_leak(Family::Ipv4, 2)?;
    truths.extend(stage.client_leak(Family::Ipv6, 2)?);
    let waiting = stage.never_accepted(Family::Ipv4, 2)?.len();
    let (netns, server) = (Some(stage.netns().inode()), stage.server.pid());
    let count = truths.len() + waiting;
    let snapshot = fresh_with(&mut stuck, netns, count)?;
    ensure!(
        !snapshot.has_caveat("missing_capabilities"),
        "{snapshot:#?}"
    );
    for socket in in_netns(&snapshot, netns) {
        is_right(socket, &truths, server)?;
    }
    stuck.end()?;
    let log = Log::of(place, &traced.end()?.stdout)?;
    let open = log.open.iter().filter(|one| one.subject.netns == netns);
    ensure!(open.count() == count, "{log:#?}");
    Ok(())
}

/// The next snapshot that has this many sockets of the namespace. In earlier ones its number may be another one's.
fn fresh_with(tool: &mut Tool, netns: Option<u64>, count: usize) -> Result<Snapshot> {
    let start = Instant::now();
    loop {
        let snapshot = tool.fresh()?;
        if in_netns(&snapshot, netns).count() == count {
            return Ok(snapshot);
        }
        ensure!(start.elapsed() < patience(), "not {count}: {snapshot:#?}");
    }
}

fn in_netns(snapshot: &Snapshot, netns: Option<u64>) -> impl Iterator<Item = &Socket> {
    snapshot
        .sockets
        .iter()
        .filter(move |one| one.netns == netns)
}

/// A socket of one of the truths has its holders, and one that nobody has accepted its listener.
fn is_right(socket: &Socket, truths: &[Truth], server: u32) -> Result<()> {
    let truth = truths
        .iter()
        .find(|truth| Some(truth.inode) == socket.inode);
    let is_right = match (truth, &socket.holders, &socket.listener) {
        (Some(truth), Some(holders), _) => {
            let found = holders.iter().filter_map(|one| one.descriptor());
            found.eq(truth.holders.iter().copied())
        }
        (None, _, Some(listener)) => listener.pid == Some(server),
        _ => false,
    };
    ensure!(is_right, "{socket:#?}: {truths:#?}");
    Ok(())
}

/// With the two without which nothing starts, what needs no more is right, also what is loaded after the start.
fn two_capabilities() -> Result<()> {
    let copy = ToolCopy::new()?;
    let kept = CapabilitySet::BPF | CapabilitySet::PERFMON | for_maps()?;
    let mut tool = start_as_nobody(&copy, Place::Btf, kept, &WATCH)?;
    tool.fresh()?;
    let mut stage = Stage::new()?;
    let truths = stage.server_leak(Family::Ipv4, 2)?;
    let waiting = stage.never_accepted(Family::Ipv4, 2)?.len();
    let (netns, server) = (Some(stage.netns().inode()), stage.server.pid());
    let count = truths.len() + waiting;
    let snapshot = fresh_with(&mut tool, netns, count)?;
    for socket in in_netns(&snapshot, netns) {
        is_right(socket, &truths, server)?;
    }
    ensure!(snapshot.has_caveat("missing_capabilities"), "{snapshot:#?}");
    tool.end().map(drop)
}

/// Through `/proc` the descriptors of another user's process are seen with a capability for that, and without it
/// somebody may have the socket.
fn through_proc() -> Result<()> {
    let copy = ToolCopy::new()?;
    let mut stage = Stage::new()?;
    let truths = stage.server_leak(Family::Ipv4, 2)?;
    let netns = stage.netns().inode().to_string();
    let words = [
        "stuck",
        "--once",
        "--json",
        "--older-than",
        "0s",
        "--walk",
        "proc",
    ];
    let words = [&words[..], &["--netns", &netns]].concat();
    let all = all_of_the_list()?;
    for kept in [all, all - CapabilitySet::DAC_READ_SEARCH] {
        let tool = start_as_nobody(&copy, Place::AsIs, kept, &words)?;
        let snapshots = tool.wait()?.success()?.snapshots()?;
        let snapshot = &snapshots[0];
        ensure!(snapshot.sockets.len() == truths.len(), "{snapshot:#?}");
        if kept == all {
            for socket in &snapshot.sockets {
                is_right(socket, &truths, stage.server.pid())?;
            }
            continue;
        }
        let is_known = |socket: &Socket| socket.held == "none" || socket.held == "descriptor";
        ensure!(
            snapshot.has_caveat("unread_descriptors") && !snapshot.sockets.iter().any(is_known),
            "{snapshot:#?}"
        );
    }
    Ok(())
}
