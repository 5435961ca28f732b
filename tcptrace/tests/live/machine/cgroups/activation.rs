//! A process in one group listens and passes the listener on to a process in another group, as systemd does: the kernel
//! counts what comes in at it as the first group's.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;
use testbed::{Actor, Family, Netns, Order, Socket};

use super::{last, lines, outlook::Outlook};
use crate::{
    harness::{
        case::Cases,
        cgroup::Cgroup,
        place::Place,
        verdict::{self, Ignored},
    },
    run::{hist, log::LogTool, states::States, tool::Tool},
};

pub fn add(cases: &mut Cases) {
    cases.add("activated_socket_is_in_both_groups", once);
    cases.add("activated_socket_in_a_session", sessions).here();
    cases.add("activated_socket_that_is_residue", residue);
    cases.add("activated_socket_in_a_cgroup_namespace", in_a_namespace);
}

/// The groups, the processes in them, and a client.
struct Scene {
    client: Actor,
    server: Actor,
    /// It ends last, and still has the listener.
    launcher: Actor,
    netns: Netns,
    listener: Socket,
    of_server: Cgroup,
    of_launcher: Cgroup,
    neither: Cgroup,
}

impl Scene {
    fn new(name: &str) -> Result<Self> {
        let group = |of: &str| Cgroup::new(&format!("{name}-{of}")).map_err(Ignored::because);
        let (of_launcher, of_server) = (group("launcher")?, group("server")?);
        let neither = group("neither")?;
        let netns = Netns::new()?;
        let start = |comm: &str| Actor::start(&netns, comm);
        let mut launcher = start("launcher")?;
        let mut server = start("activated")?;
        let client = start("client")?;
        of_launcher.take(launcher.pid())?;
        of_server.take(server.pid())?;
        let address = (Family::Ipv4.loopback(), 0).into();
        let backlog = 16;
        let listener = launcher.socket(&Order::Listen { address, backlog })?;
        let mailbox = || "activation".to_owned();
        server.tell(&Order::Mailbox { name: mailbox() })?;
        let (fd, name) = (listener.fd, mailbox());
        launcher.tell(&Order::Pass { fd, name })?;
        let passed = server.socket(&Order::Take)?;
        launcher.tell(&Order::Close { fds: vec![fd] })?;
        Ok(Self {
            client,
            server,
            launcher,
            netns,
            listener: passed,
            of_server,
            of_launcher,
            neither,
        })
    }

    /// Connections that the server has accepted, or that wait, in `CLOSE_WAIT`; the sockets that it accepted.
    fn leak(&mut self, accepted: usize, waiting: usize) -> Result<Vec<Socket>> {
        let (address, count) = (self.listener.local, accepted + waiting);
        let clients = self.client.sockets(&Order::Connect { address, count })?;
        let (fd, count) = (self.listener.fd, accepted);
        let servers = self.server.sockets(&Order::Accept { fd, count })?;
        let fds = clients.iter().map(|one| one.fd).collect();
        self.client.tell(&Order::ShutdownAll { fds })?;
        Ok(servers)
    }
}

/// Of the three, how many the filter lets through, by group: what is in neither is found by none.
fn each<T>(scene: &Scene, count: impl Fn(&str) -> Result<T>) -> Result<[T; 3]> {
    Ok([
        count(&scene.of_launcher.path)?,
        count(&scene.of_server.path)?,
        count(&scene.neither.path)?,
    ])
}

fn once() -> Result<()> {
    let mut scene = Scene::new("activated")?;
    scene.leak(2, 1)?;
    let netns = scene.netns.inode();
    for walk in ["auto", "proc"] {
        let stuck = each(&scene, |path| {
            let look = Tool::look(Place::AsIs, netns, &["--walk", walk, "--cgroup", path])?;
            Ok(look.sockets.len())
        })?;
        ensure!(stuck == [3, 3, 0], "--walk {walk}: {stuck:?}");
        // The listener is among them.
        let states = each(&scene, |path| {
            let look = States::look(netns, &["--walk", walk, "--cgroup", path])?;
            Ok((look.of("CLOSE_WAIT"), look.of("LISTEN")))
        })?;
        // By /proc it is not known whose connections wait.
        let held = if walk == "proc" { 2 } else { 3 };
        let wanted = [(3, 1), (held, 1), (0, 0)];
        ensure!(states == wanted, "--walk {walk}: {states:?}");
    }
    // What is shown of a socket is what the kernel says; what is shown of a row is of the process.
    let words = format!("stuck --once --json --older-than 0s --netns {netns}");
    let words: Vec<_> = words.split(' ').collect();
    let look = last(&Tool::start(Place::AsIs, &words)?.wait()?.success()?)?;
    let mut sockets = look["sockets"].as_array().into_iter().flatten();
    let launcher = Value::from(scene.of_launcher.path.clone());
    ensure!(sockets.all(|one| one["cgroup"] == launcher), "{look:#}");
    Ok(())
}

fn sessions() -> Result<()> {
    let mut scene = Scene::new("activated-long")?;
    // From before the start.
    scene.leak(1, 0)?;
    let netns = scene.netns.inode();
    let logs = each(&scene, |path| {
        LogTool::watch(Place::Btf, netns, &["--cgroup", path])
    })?;
    let hist = each(&scene, |path| {
        hist::watch(Place::Btf, netns, &format!("--cgroup {path}"))
    })?;
    let taken = scene.leak(2, 0)?;
    let close = taken[..1].iter().map(|one| one.fd).collect();
    scene.server.tell(&Order::Close { fds: close })?;
    std::thread::sleep(Duration::from_millis(100));
    let server = Value::from(scene.server.comm());
    let mut open = Vec::new();
    let mut entered = Vec::new();
    let mut skipped = 0;
    for log in logs {
        let log = log.end()?.lossless()?;
        skipped += log.skipped();
        open.push(lines(&log.outcome, "tcptrace.open/1")?);
        entered.push(lines(&log.outcome, "tcptrace.transition/1")?);
    }
    let mut counts = Vec::new();
    for tool in hist {
        tool.signal(Signal::INT)?;
        let report = hist::last(&tool.wait()?.success()?)?;
        skipped += report.skipped();
        let found = report.of("CLOSE_WAIT").next();
        let so_far = found.map(|one| one.so_far.exact.count + one.so_far.at_least.count);
        counts.push((
            found.map_or(0, |one| one.finished.count),
            so_far.unwrap_or(0),
        ));
    }
    let of = |log: &[(Value, Value)]| log.iter().filter(|(by, _)| *by == server).count();
    // Two are still open, which are in both groups; transitions are those of their owner, the server.
    let still: Vec<_> = open.iter().map(|log| of(log)).collect();
    let moved: Vec<_> = entered.iter().map(|log| of(log)).collect();
    let right = still == [2, 2, 0] && moved == [0, 2, 0] && counts == [(0, 2), (1, 2), (0, 0)];
    let shown = (still, moved, counts);
    let right = right
        .then_some(())
        .with_context(|| format!("{shown:?}: {open:#?}, {entered:#?}"));
    verdict::judge(skipped, right)
}

fn residue() -> Result<()> {
    let mut scene = Scene::new("activated-dead")?;
    let (address, count) = (scene.listener.local, 1);
    let client = scene.client.socket(&Order::Connect { address, count })?;
    let fd = scene.listener.fd;
    let server = scene.server.socket(&Order::Accept { fd, count })?;
    let fds = vec![client.fd];
    scene.client.tell(&Order::Reset { fds })?;
    let (fd, state) = (server.fd, testbed::state::CLOSE);
    scene.server.tell(&Order::Await { fd, state })?;
    let netns = scene.netns.inode();
    let found = each(&scene, |path| {
        let look = Tool::look(Place::AsIs, netns, &["--cgroup", path])?;
        let states = States::look(netns, &["--cgroup", path])?;
        let residue = look.residue.context("it was not looked for")?;
        Ok((residue.len(), states.residue))
    })?;
    ensure!(found == [(1, 1), (1, 1), (0, 0)], "{found:?}");
    Ok(())
}

/// The path of a process's group is relative to a cgroup namespace's root.
fn in_a_namespace() -> Result<()> {
    let mut scene = Scene::new("activated-ns")?;
    scene.leak(1, 0)?;
    for outlook in [
        Outlook::Unmounted,
        Outlook::Remounted,
        Outlook::OtherProcesses,
    ] {
        let found = each(&scene, |path| {
            let words = format!("stuck --once --json --older-than 0s --cgroup {path}");
            let tool = outlook.start(&scene.neither, &scene.netns, &words)?;
            let look = last(&tool.wait()?.success()?)?;
            Ok(look["sockets"].as_array().map_or(0, Vec::len))
        })?;
        ensure!(found == [1, 1, 0], "{}: {found:?}", outlook.name());
    }
    ensure!(scene.launcher.pid() > 0);
    Ok(())
}
