//! Everything at once: the tool in namespaces of its own, with and without the machine's processes and control groups,
//! without each capability. What it says is true; what it cannot see it says.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use rustix::thread::CapabilitySet;
use serde_json::Value;
use testbed::{Family, clock::monotonic_ns};

use crate::{
    harness::{
        case::Cases,
        container::{Container, inner_pid},
        place::Place,
    },
    machine::pids::Walls,
    run::{
        hist,
        log::{self, Log},
        snapshot::Snapshot,
        tool::{Outcome, Tool, binary},
    },
};

pub fn add(cases: &mut Cases) {
    for container in ALL {
        for (index, (name, without)) in WITHOUT.iter().enumerate() {
            let name = format!("{}::{name}", container.name());
            let add = |cases: &mut Cases,
                       what: &str,
                       test: fn(Container, CapabilitySet) -> Result<()>| {
                let added = cases.add(&format!("{what}::{name}"), move || {
                    test(container, *without)
                });
                // What may be missing does not depend on the kernel, as far as the others do not.
                if container != ALL[0] || index > 0 {
                    added.here();
                }
            };
            add(cases, "container_looks", looks);
            if index < 3 {
                add(cases, "container_sessions", sessions);
            }
        }
    }
}

/// With what of the machine's.
const ALL: [Container; 4] = [
    Container {
        pids: true,
        groups: true,
    },
    Container {
        pids: true,
        groups: false,
    },
    // A `DaemonSet` with `hostPID`.
    Container {
        pids: false,
        groups: true,
    },
    Container {
        pids: false,
        groups: false,
    },
];

const NEEDED: [CapabilitySet; 2] = [
    CapabilitySet::SYS_ADMIN.union(CapabilitySet::BPF),
    CapabilitySet::SYS_ADMIN.union(CapabilitySet::PERFMON),
];

/// What may be missing.
const WITHOUT: &[(&str, CapabilitySet)] = &[
    ("nothing", CapabilitySet::empty()),
    ("sys_admin", CapabilitySet::SYS_ADMIN),
    ("sys_ptrace", CapabilitySet::SYS_PTRACE),
    (
        "sys_admin_and_sys_ptrace",
        CapabilitySet::SYS_ADMIN.union(CapabilitySet::SYS_PTRACE),
    ),
    ("net_admin", CapabilitySet::NET_ADMIN),
    (
        "dac",
        CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::DAC_READ_SEARCH),
    ),
    ("sys_resource", CapabilitySet::SYS_RESOURCE),
    ("bpf", NEEDED[0]),
    ("perfmon", NEEDED[1]),
];

impl Container {
    fn name(self) -> &'static str {
        match (self.pids, self.groups) {
            (true, true) => "alone",
            (true, false) => "with_groups",
            (false, true) => "with_pids",
            (false, false) => "with_both",
        }
    }

    /// Starts the tool in the network namespace of the sockets, about which it is.
    fn start(self, walls: &Walls, without: CapabilitySet, words: &[&str]) -> Result<Tool> {
        let mut command = Command::new(binary());
        let netns = walls.stage.netns();
        command
            .args(words)
            .args(["--json", "--netns", &netns.inode().to_string()]);
        self.prepare(&mut command, walls.inside, without)?;
        netns.run(move || Tool::start_command(command))?
    }

    /// The numbers that the processes inside and outside of the PID namespace have.
    fn numbers(self, walls: &Walls) -> Result<[Option<u32>; 2]> {
        let outside = walls.stage.server.pid();
        Ok(match self.pids {
            true => [Some(inner_pid(walls.inside)?), None],
            false => [Some(walls.inside), Some(outside)],
        })
    }
}

const INSIDE: usize = 3;
const OUTSIDE: usize = 2;

/// Whether the outcome is that of a tool that may not load programs, and says so.
fn is_refused(outcome: &Outcome, without: CapabilitySet) -> Result<bool> {
    if !NEEDED.contains(&without) {
        return Ok(false);
    }
    let right = outcome.code()? == 1 && outcome.stderr.contains("CAP_SYS_ADMIN");
    ensure!(right && outcome.stdout.is_empty(), "{outcome:?}");
    Ok(true)
}

fn looks(container: Container, without: CapabilitySet) -> Result<()> {
    let mut walls = Walls::new()?;
    let start_ns = monotonic_ns();
    walls.leak(INSIDE)?;
    walls.stage.server_leak(Family::Ipv4, OUTSIDE)?;
    let numbers = container.numbers(&walls)?;
    let words = ["--once", "--older-than", "0s"];
    let outcome = container.start(&walls, without, &words)?.wait()?;
    if !is_refused(&outcome, without)? {
        let look = outcome.success()?.snapshots()?.pop().context("no look")?;
        ensure!(look.monotonic_ns <= monotonic_ns(), "the wrong clock");
        let old = look
            .sockets
            .iter()
            .find(|one| one.age_ns > monotonic_ns() - start_ns);
        ensure!(old.is_none(), "too old: {old:?}");
        holders_right(&look, numbers).with_context(|| format!("{look:#?}"))?;
        ensure!(
            look.has_caveat("pid_namespace") == container.pids,
            "{look:#?}"
        );
        let lacks = CapabilitySet::SYS_ADMIN
            .union(CapabilitySet::SYS_PTRACE)
            .union(CapabilitySet::NET_ADMIN);
        let said = look.has_caveat("missing_capabilities");
        ensure!(said == without.intersects(lacks), "{look:#?}");
    }
    let words = ["states", "--once", "--by", "pid"];
    let outcome = container.start(&walls, without, &words)?.wait()?;
    if !is_refused(&outcome, without)? {
        states_right(&serde_json::from_str(&outcome.success()?.stdout)?, numbers)?;
    }
    Ok(())
}

/// Each socket is there, with its true holder, or is said to be held outside.
fn holders_right(look: &Snapshot, [inside, outside]: [Option<u32>; 2]) -> Result<()> {
    let holders = look.sockets.iter().map(|one| {
        let all = one.holders.as_ref()?.iter();
        Some(
            all.map(|one| (one.pid, one.comm.clone()))
                .collect::<Vec<_>>(),
        )
    });
    let (mut ours, mut theirs) = (0, 0);
    for (socket, holders) in look.sockets.iter().zip(holders) {
        match (holders.as_deref(), socket.role.as_str()) {
            (Some([(pid, comm)]), "client") if Some(*pid) == inside && comm == "inside" => {
                ours += 1
            }
            (Some([(pid, comm)]), "server") if Some(*pid) == outside && comm == "leaky-server" => {
                theirs += 1;
            }
            (None, "server") if outside.is_none() && socket.held == "outside" => theirs += 1,
            _ => anyhow::bail!("{socket:#?}"),
        }
    }
    ensure!((ours, theirs) == (INSIDE, OUTSIDE), "{ours} and {theirs}");
    let said = look.has_caveat("held_outside");
    ensure!(said == outside.is_none(), "whether some are held outside");
    let of = |pid: Option<u32>| {
        look.groups
            .iter()
            .filter(|one| one.pid == pid)
            .map(|one| one.sockets)
            .sum::<usize>()
    };
    ensure!((of(inside), of(outside)) == (INSIDE, OUTSIDE), "groups");
    Ok(())
}

fn states_right(report: &Value, [inside, outside]: [Option<u32>; 2]) -> Result<()> {
    let waiting = |group: &Value| {
        let states = group["states"].as_array().into_iter().flatten();
        let mut found = states.filter(|one| one["state"] == "CLOSE_WAIT");
        found
            .next()
            .and_then(|one| one["count"].as_u64())
            .unwrap_or(0)
    };
    let of = |pid: Option<u32>| {
        let groups = report["groups"].as_array().into_iter().flatten();
        groups
            .filter(|one| one["key"]["pid"] == Value::from(pid))
            .map(waiting)
            .sum::<u64>()
    };
    let right = (of(inside), of(outside)) == (INSIDE as u64, OUTSIDE as u64);
    ensure!(
        right && waiting(report) == (INSIDE + OUTSIDE) as u64,
        "{report:#}"
    );
    Ok(())
}

fn sessions(container: Container, without: CapabilitySet) -> Result<()> {
    let mut walls = Walls::new()?;
    let numbers = container.numbers(&walls)?;
    let mut tools = Vec::new();
    for (words, ready) in [
        (&["log"][..], log::READY),
        (&["hist", "--by", "pid"][..], hist::READY),
        (
            &["stuck", "--older-than", "0s", "--interval", "200ms"][..],
            "",
        ),
    ] {
        let mut tool = container.start(&walls, without, words)?;
        match ready {
            "" => drop(tool.fresh()?),
            ready => tool.until_said(ready)?,
        }
        tools.push(tool);
    }
    walls.leak(INSIDE)?;
    walls.stage.server_leak(Family::Ipv4, OUTSIDE)?;
    let stuck = tools.pop().context("three")?;
    let look = {
        let mut stuck = stuck;
        let look = stuck.fresh()?;
        stuck.end()?;
        look
    };
    holders_right(&look, numbers).with_context(|| format!("{look:#?}"))?;
    ensure!(
        look.sockets.iter().all(|one| one.age == "exact"),
        "{look:#?}"
    );

    let report = hist::last(&tools.pop().context("two")?.end()?)?;
    let of = |pid: Option<u32>| {
        let mut found = report.of("CLOSE_WAIT").filter(|one| {
            one.key
                .as_ref()
                .is_some_and(|key| key["pid"] == Value::from(pid))
        });
        found.next().map(|one| one.so_far.exact.count)
    };
    // Without tracefs, which it may not mount, nothing tells who accepts, and nobody inside listens.
    let unknown = container.pids && without.contains(CapabilitySet::SYS_ADMIN);
    let said = report
        .caveats
        .iter()
        .any(|one| one.caveat == "accepts_not_seen");
    ensure!(said || !unknown, "{report:#?}");
    let theirs = of(numbers[1]);
    let theirs = if unknown {
        theirs.or(Some(OUTSIDE as u64))
    } else {
        theirs
    };
    let counts = (of(numbers[0]), theirs);
    ensure!(
        counts == (Some(INSIDE as u64), Some(OUTSIDE as u64)),
        "{report:#?}"
    );

    let log = Log::of(Place::AsIs, &tools.pop().context("one")?.end()?.stdout)?;
    let of = |pid: Option<u32>, comm: &str| {
        let entered = log
            .transitions
            .iter()
            .filter(|line| line.to == "CLOSE_WAIT");
        let its = entered
            .filter(|line| line.subject.pid == pid && line.subject.comm.as_deref() == Some(comm));
        let open = log
            .open
            .iter()
            .filter(|line| line.subject.pid == pid && line.subject.comm.as_deref() == Some(comm));
        (its.count(), open.count())
    };
    let mut counts = [of(numbers[0], "inside"), of(numbers[1], "leaky-server")];
    if unknown && counts[1] == (0, 0) {
        let lines = log.open.iter().map(|line| &line.subject);
        counts[1].0 = lines
            .filter(|line| line.owner == "unknown" && line.comm.is_none())
            .count();
        counts[1].1 = counts[1].0;
    }
    ensure!(counts == [(INSIDE, INSIDE), (OUTSIDE, OUTSIDE)], "{log:#?}");
    Ok(())
}
