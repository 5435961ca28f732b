//! The tool in a PID namespace: whose numbers it takes and gives.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testbed::{Actor, Family, Order, Stage};

use crate::{
    harness::place::Place,
    harness::{
        case::Cases,
        container::{Proc, in_pids_of, inner_pid},
    },
    run::{
        hist,
        log::{Log, READY},
        tool::{Tool, binary},
    },
};

pub fn add(cases: &mut Cases) {
    for proc in [Proc::Own, Proc::Machines] {
        let place = format!("{proc:?}").to_lowercase();
        cases.add(&format!("pid_namespace_looks::{place}"), move || {
            looks(proc)
        });
        let added = cases.add(&format!("pid_namespace_sessions::{place}"), move || {
            sessions(proc)
        });
        if proc == Proc::Machines {
            added.here();
        }
    }
    cases.add("pid_namespace_children", children);
    cases.add("pid_namespace_doctor", doctor);
}

/// Processes inside and outside of a PID namespace, in one network namespace.
pub struct Walls {
    pub stage: Stage,
    /// Starts processes inside.
    outside: Actor,
    /// The machine's number of the first process inside.
    pub inside: u32,
}

impl Walls {
    pub fn new() -> Result<Self> {
        let stage = Stage::new()?;
        let mut outside = Actor::start(stage.netns(), "outside")?;
        outside.tell(&Order::UnsharePids)?;
        // So that numbers are not those of the machine, nor 1.
        let first = outside.worker("first", &[])?;
        let inside = outside.worker("inside", &[])?;
        ensure!(inner_pid(first)? == 1 && inner_pid(inside)? > 1);
        Ok(Self {
            stage,
            outside,
            inside,
        })
    }

    /// Makes the process inside connect and the server close: the process holds so many sockets in CLOSE_WAIT.
    pub fn leak(&mut self, count: usize) -> Result<()> {
        let address = self.stage.listener(Family::Ipv4).local;
        let order = Order::Connect { address, count }.by(self.inside);
        let clients = self.outside.sockets(&order)?;
        let servers = self.stage.accept(Family::Ipv4, count)?;
        let fds = servers.iter().map(|socket| socket.fd).collect();
        self.stage.server.tell(&Order::Close { fds })?;
        for client in clients {
            let (fd, state) = (client.fd, testbed::state::CLOSE_WAIT);
            self.outside
                .tell(&Order::Await { fd, state }.by(self.inside))?;
        }
        Ok(())
    }

    fn tool(&self, proc: Proc, words: &[&str]) -> Result<Tool> {
        let mut command = Command::new(binary());
        command
            .args(words)
            .args(["--netns", &self.stage.netns().inode().to_string()]);
        in_pids_of(&mut command, self.inside, proc)?;
        Tool::start_command(command)
    }

    fn look(&self, proc: Proc, more: &[&str]) -> Result<crate::run::snapshot::Snapshot> {
        let words = [&["--once", "--json", "--older-than", "0s"], more].concat();
        let mut looks = self.tool(proc, &words)?.wait()?.success()?.snapshots()?;
        looks.pop().context("no look")
    }
}

/// Looks give the numbers of the namespace, find only these, and say what is held outside.
fn looks(proc: Proc) -> Result<()> {
    let mut walls = Walls::new()?;
    walls.leak(3)?;
    walls.stage.server_leak(Family::Ipv4, 2)?;
    let (inner, outer) = (inner_pid(walls.inside)?, walls.stage.server.pid());
    let look = walls.look(proc, &[])?;
    ensure!(look.sockets.len() == 5, "{look:#?}");
    let (held, others): (Vec<_>, Vec<_>) = look
        .sockets
        .iter()
        .partition(|one| one.held == "descriptor");
    let is_inner = |pid: u32, comm: &str| (pid, comm) == (inner, "inside");
    let mut holders = held.iter().flat_map(|one| one.holders.iter().flatten());
    ensure!(
        held.len() == 3 && holders.all(|one| is_inner(one.pid, &one.comm)),
        "{held:#?}"
    );
    let outside = others
        .iter()
        .all(|one| one.held == "outside" && one.holders.is_none());
    ensure!(others.len() == 2 && outside, "{others:#?}");
    ensure!(
        look.has_caveat("pid_namespace") && look.has_caveat("held_outside"),
        "{look:#?}"
    );
    let pids: Vec<_> = look.groups.iter().map(|group| group.pid).collect();
    ensure!(
        pids.len() == 2 && pids.contains(&Some(inner)) && pids.contains(&None),
        "{pids:?}"
    );
    // The same sockets by /proc.
    let by_proc = walls.look(proc, &["--walk", "proc"])?;
    let held = |one: &&crate::run::snapshot::Socket| one.held == "descriptor";
    ensure!(
        by_proc.sockets.iter().filter(held).count() == 3,
        "{by_proc:#?}"
    );
    let only = walls.look(proc, &["--pid", &inner.to_string()])?;
    ensure!(only.sockets.len() == 3, "{only:#?}");
    // The machine's number of another process means nothing here.
    let words = ["--once", "--older-than", "0s", "--pid", &outer.to_string()];
    let outcome = walls.tool(proc, &words)?.wait()?;
    let said = format!("no process {outer}");
    ensure!(
        outcome.code()? == 2 && outcome.stderr.contains(&said),
        "{outcome:?}"
    );
    // In words.
    let text = walls
        .tool(proc, &["--once", "--older-than", "0s"])?
        .wait()?
        .success()?
        .stdout;
    ensure!(
        text.matches("outside this PID namespace").count() >= 3,
        "{text}"
    );
    states(&walls, proc, inner)
}

fn states(walls: &Walls, proc: Proc, inner: u32) -> Result<()> {
    let words = ["states", "--once", "--json", "--by", "pid"];
    let outcome = walls.tool(proc, &words)?.wait()?.success()?;
    let report: Value = serde_json::from_str(&outcome.stdout)?;
    let groups = report["groups"].as_array().context("no groups")?;
    let count = |group: &Value| {
        let states = group["states"].as_array().into_iter().flatten();
        let mut closed = states.filter(|one| one["state"] == "CLOSE_WAIT");
        closed.next().and_then(|one| one["count"].as_u64())
    };
    let waiting: Vec<_> = (groups.iter())
        .map(|group| (group["key"]["pid"].as_u64(), count(group)))
        .filter(|(_, count)| count.is_some_and(|count| count > 0))
        .collect();
    let expected = [(Some(inner.into()), Some(3)), (None, Some(2))];
    ensure!(
        waiting.len() == 2 && expected.iter().all(|one| waiting.contains(one)),
        "{report:#}"
    );
    let caveats = report["caveats"].to_string();
    ensure!(
        caveats.contains("pid_namespace") && caveats.contains("held_outside"),
        "{caveats}"
    );
    Ok(())
}

/// Sessions give and take the numbers of the namespace.
fn sessions(proc: Proc) -> Result<()> {
    let mut walls = Walls::new()?;
    let inner = inner_pid(walls.inside)?;
    let number = inner.to_string();
    let ready = |mut tool: Tool, said: &str| -> Result<Tool> {
        tool.until_said(said)?;
        Ok(tool)
    };
    let log = ready(walls.tool(proc, &["log", "--json"])?, READY)?;
    let only = ready(
        walls.tool(proc, &["log", "--json", "--pid", &number])?,
        READY,
    )?;
    let hist = ready(
        walls.tool(proc, &["hist", "--json", "--by", "pid"])?,
        hist::READY,
    )?;
    let hist_only = walls.tool(proc, &["hist", "--json", "--pid", &number])?;
    let hist_only = ready(hist_only, hist::READY)?;
    walls.leak(3)?;
    walls.stage.server_leak(Family::Ipv4, 2)?;

    let log = Log::of(Place::AsIs, &log.end()?.stdout)?;
    let entered = log
        .transitions
        .iter()
        .filter(|line| line.to == "CLOSE_WAIT");
    let owners: Vec<_> = entered
        .map(|line| {
            (
                line.subject.pid,
                line.subject.comm.as_deref().unwrap_or_default(),
            )
        })
        .collect();
    let ours = owners
        .iter()
        .filter(|owner| **owner == (Some(inner), "inside"));
    let others = owners
        .iter()
        .filter(|owner| **owner == (None, "leaky-server"));
    ensure!(
        (ours.count(), others.count(), owners.len()) == (3, 2, 5),
        "{owners:?}"
    );
    for line in &log.open {
        let holders = line.holders.iter().flatten();
        let pids: Vec<_> = holders.map(|one| Some(one.pid)).collect();
        ensure!(pids.iter().all(|pid| *pid == line.subject.pid), "{line:#?}");
        ensure!(line.subject.pid.is_none_or(|pid| pid == inner), "{line:#?}");
    }
    ensure!(log.open.len() == 5, "{:#?}", log.open);

    let outcome = only.end()?;
    ensure!(
        outcome.stderr.contains("PID namespace"),
        "{}",
        outcome.stderr
    );
    let only = Log::of(Place::AsIs, &outcome.stdout)?;
    let lines = only.transitions.iter().map(|line| line.subject.pid);
    let mut pids = lines.chain(only.open.iter().map(|line| line.subject.pid));
    ensure!(pids.all(|pid| pid == Some(inner)), "{only:#?}");
    ensure!(
        only.open.len() == 3 && only.transitions.len() >= 9,
        "{only:#?}"
    );

    let report = hist::last(&hist.end()?)?;
    let keys: Vec<_> = report
        .of("CLOSE_WAIT")
        .map(|one| (one.key.clone(), one.so_far.exact.count))
        .collect();
    let of = |pid: Value| {
        let mut found = keys
            .iter()
            .filter(|(key, _)| key.as_ref().is_some_and(|key| key["pid"] == pid));
        found.next().map(|(_, count)| *count)
    };
    ensure!(
        of(inner.into()) == Some(3) && of(Value::Null) == Some(2),
        "{keys:?}"
    );
    let report = hist::last(&hist_only.end()?)?;
    ensure!(
        report.only("CLOSE_WAIT")?.so_far.exact.count == 3,
        "{report:#?}"
    );
    Ok(())
}

/// Children are followed by the numbers of the namespace, also those that begin later.
fn children() -> Result<()> {
    let mut walls = Walls::new()?;
    let number = inner_pid(walls.inside)?.to_string();
    let mut log = walls.tool(
        Proc::Own,
        &["log", "--json", "--pid", &number, "--children"],
    )?;
    log.until_said(READY)?;
    let comm = "grandchild".into();
    let order = Order::Worker { comm, fds: vec![] }.by(walls.inside);
    let testbed::Reply::Pid(grandchild) = walls.outside.tell(&order)? else {
        anyhow::bail!("no child");
    };
    let address = walls.stage.listener(Family::Ipv4).local;
    let connect = Order::Connect { address, count: 1 }
        .by(grandchild)
        .by(walls.inside);
    walls.outside.socket(&connect)?;
    walls.stage.accept(Family::Ipv4, 1)?;
    let log = Log::of(Place::AsIs, &log.end()?.stdout)?;
    // Its parent knows it by the number that it has inside.
    let right = |line: &crate::run::line::Transition| line.subject.pid == Some(grandchild);
    ensure!(
        log.transitions.len() == 2 && log.transitions.iter().all(right),
        "{log:#?}"
    );
    Ok(())
}

fn doctor() -> Result<()> {
    let walls = Walls::new()?;
    let mut command = Command::new(binary());
    command.args(["doctor", "--json"]);
    in_pids_of(&mut command, walls.inside, Proc::Own)?;
    let outcome = Tool::start_command(command)?.wait()?;
    let report: Value = serde_json::from_str(&outcome.stdout)?;
    let findings = report["findings"].as_array().context("no findings")?;
    let of = |name: &str| findings.iter().find(|one| one["name"] == name);
    let pids = of("PID namespace").context("nothing about PIDs")?;
    ensure!(pids["status"] == "degraded", "{pids}");
    Ok(())
}
