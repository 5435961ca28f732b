//! Sockets that one process opens and another uses: passed on, inherited, or left alone.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use testbed::{Actor, Family, Order, Socket, Stage, clock::slowness, state::CLOSE_WAIT};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
    },
    run::{
        hist,
        line::{Open, Transition},
        log::{Log, LogTool},
        tool::Tool,
    },
};

pub fn add(cases: &mut Cases) {
    // Where one hook and one way to hold a socket work, the others do: an emulated machine takes long to look.
    cases
        .add_in(BOTH, "user_of_what_was_passed_on", passed_on)
        .here_in(Place::Tracepoint);
    cases
        .add_in(BOTH, "user_is_the_only_holder_left", only_holder_left)
        .here_in(Place::Tracepoint);
    cases
        .add("user_is_nobody_while_the_opener_has_it", both_hold)
        .here();
    cases.add("user_is_nobody_of_two", two_are_left).here();
    cases.add("user_of_a_listener", of_a_listener).here();
    cases.add("user_after_an_exec", after_an_exec);
    cases.add("user_is_not_tcptrace_that_looked", looked_at);
}

const FAMILY: Family = Family::Ipv4;

/// The server's ends of so many new connections.
fn connections(stage: &mut Stage, count: usize) -> Result<Vec<(Socket, Socket)>> {
    let pairs = stage.connect(FAMILY, count)?;
    Ok(pairs
        .into_iter()
        .map(|pair| (pair.client, pair.server))
        .collect())
}

/// The server passes its ends to the worker and closes its own copies.
fn pass(stage: &mut Stage, worker: &mut Actor, ends: &[&Socket]) -> Result<Vec<i32>> {
    let name = format!("users-{}", ends[0].inode);
    worker.tell(&Order::Mailbox { name: name.clone() })?;
    let mut fds = Vec::new();
    for end in ends {
        let (fd, name) = (end.fd, name.clone());
        stage.server.tell(&Order::Pass { fd, name })?;
        stage.server.tell(&Order::Close { fds: vec![fd] })?;
        fds.push(worker.socket(&Order::Take)?.fd);
    }
    Ok(fds)
}

/// Lines into and out of CLOSE_WAIT.
fn to<'a>(log: &'a Log, state: &str) -> Vec<&'a Transition> {
    let lines = log.transitions.iter();
    lines
        .filter(|line| line.to == state && line.subject.role == "server")
        .collect()
}

/// Whether the line names this user, and this opener beside it.
fn is_used(line: &crate::run::line::Subject, opener: u32, user: u32, how: &str) -> bool {
    let opened = line
        .opener
        .as_ref()
        .is_some_and(|one| one.pid == Some(opener));
    let used = line.user.as_ref().is_some_and(|one| one.pid == Some(user));
    opened && used && line.pid == Some(user) && line.owner == how
}

fn of_servers(log: &Log) -> Vec<&Open> {
    log.open
        .iter()
        .filter(|line| line.subject.role == "server")
        .collect()
}

/// Two workers get half of the connections each; one of them closes its own.
fn passed_on(place: Place) -> Result<()> {
    const EACH: usize = 4;
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let mut workers = [
        Actor::start(stage.netns(), "worker-one")?,
        Actor::start(stage.netns(), "worker-two")?,
    ];
    let pids = workers.each_ref().map(Actor::pid);
    let of_one = pids[0].to_string();
    let all = LogTool::watch(place, netns, &[])?;
    let only = LogTool::watch(place, netns, &["--pid", &of_one])?;
    let words = ["--by pid".to_owned(), format!("--pid {of_one}")];
    let hists = hist::watch_all(place, netns, &words.each_ref().map(String::as_str))?;
    let ends = connections(&mut stage, 2 * EACH)?;
    let mut held = Vec::new();
    for (worker, ends) in workers.iter_mut().zip(ends.chunks(EACH)) {
        let ends: Vec<_> = ends.iter().map(|(_, server)| server).collect();
        held.push(pass(&mut stage, worker, &ends)?);
    }
    let clients = ends.iter().map(|(client, _)| client.fd).collect();
    stage.client.tell(&Order::Close { fds: clients })?;
    for (worker, fds) in workers.iter_mut().zip(&held) {
        for fd in fds {
            worker.tell(&Order::Await {
                fd: *fd,
                state: CLOSE_WAIT,
            })?;
        }
    }
    let (closed, kept) = held[0].split_at(EACH / 2);
    workers[0].tell(&Order::Close {
        fds: closed.to_vec(),
    })?;
    std::thread::sleep(Duration::from_millis(100));
    let (all, only) = (all.end()?.lossless()?, only.end()?.lossless()?);
    let reports = hist::end_all(place, hists)?;

    let server = stage.server.pid();
    for log in [&all, &only] {
        let closing = to(log, "LAST_ACK");
        ensure!(closing.len() == closed.len(), "{log:#?}");
        let right = |line: &&Transition| is_used(&line.subject, server, pids[0], "call");
        ensure!(closing.iter().all(right), "{closing:#?}");
    }
    let still = of_servers(&all);
    let of = |pid: u32| {
        let held = |line: &&&Open| line.holders.iter().flatten().any(|one| one.pid == pid);
        let used = |line: &&&Open| line.subject.pid == Some(pid) && line.subject.opener.is_some();
        still.iter().filter(held).filter(used).count()
    };
    ensure!(
        (of(pids[0]), of(pids[1])) == (kept.len(), EACH),
        "{still:#?}"
    );
    ensure!(of_servers(&only).len() == kept.len(), "{only:#?}");

    let in_close_wait = |report: &hist::Report, pid: Option<u32>| {
        let key = |one: &&hist::Histogram| {
            pid.is_none()
                || one
                    .key
                    .as_ref()
                    .is_some_and(|key| key["pid"] == Value::from(pid))
        };
        let found = report.of("CLOSE_WAIT").find(key);
        found.map(|one| (one.finished.count, one.so_far.exact.count))
    };
    let expected = (closed.len() as u64, kept.len() as u64);
    ensure!(
        in_close_wait(&reports[0], Some(pids[0])) == Some(expected),
        "{reports:#?}"
    );
    ensure!(
        in_close_wait(&reports[0], Some(pids[1])) == Some((0, EACH as u64)),
        "{reports:#?}"
    );
    ensure!(
        in_close_wait(&reports[1], None) == Some(expected),
        "{reports:#?}"
    );
    Ok(())
}

/// Starts a child of the server that inherits the server's end.
fn heir(stage: &mut Stage, end: &Socket, comm: &str) -> Result<u32> {
    stage.server.worker(comm, &[end.fd])
}

/// Waits until a log has looked who has sockets open.
fn looked() {
    std::thread::sleep(Duration::from_millis(900) * slowness().min(10));
}

/// The opener has closed its copy when the peer's FIN comes: the heir, which has made no call, is named.
fn only_holder_left(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let all = LogTool::watch(place, netns, &[])?;
    let [(client, server)] = &connections(&mut stage, 1)?[..] else {
        bail!("not one connection");
    };
    let heir = heir(&mut stage, server, "heir")?;
    let only = LogTool::watch(place, netns, &["--pid", &heir.to_string()])?;
    stage.server.tell(&Order::Close {
        fds: vec![server.fd],
    })?;
    looked();
    stage.client.tell(&Order::Close {
        fds: vec![client.fd],
    })?;
    stage.server.tell(
        &Order::Await {
            fd: server.fd,
            state: CLOSE_WAIT,
        }
        .by(heir),
    )?;
    let (all, only) = (all.end()?, only.end()?);
    let opener = stage.server.pid();
    let right = |line: &&Transition| is_used(&line.subject, opener, heir, "fd");
    let entered = to(&all, "CLOSE_WAIT");
    ensure!(entered.len() == 1 && entered.iter().all(right), "{all:#?}");
    // For the other log the socket is from before the start.
    let entered = to(&only, "CLOSE_WAIT");
    ensure!(
        entered.len() == 1 && entered[0].subject.pid == Some(heir),
        "{only:#?}"
    );
    for log in [&all, &only] {
        let still = of_servers(log);
        ensure!(
            still.len() == 1 && still[0].subject.pid == Some(heir),
            "{log:#?}"
        );
    }
    Ok(())
}

/// As long as its opener has it open, nobody has taken it over; but a filter for the heir takes it at the end.
fn both_hold() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let all = LogTool::watch(Place::Btf, netns, &[])?;
    let [(client, server)] = &connections(&mut stage, 1)?[..] else {
        bail!("not one connection");
    };
    let heir = heir(&mut stage, server, "heir")?;
    let only = LogTool::watch(Place::Btf, netns, &["--pid", &heir.to_string()])?;
    looked();
    stage.client.tell(&Order::Close {
        fds: vec![client.fd],
    })?;
    stage.server.tell(&Order::Await {
        fd: server.fd,
        state: CLOSE_WAIT,
    })?;
    let (all, only) = (all.end()?, only.end()?);
    let opener = stage.server.pid();
    let entered = to(&all, "CLOSE_WAIT");
    let right =
        |line: &&Transition| line.subject.user.is_none() && line.subject.pid == Some(opener);
    ensure!(entered.len() == 1 && entered.iter().all(right), "{all:#?}");
    let still = of_servers(&only);
    ensure!(
        still.len() == 1 && still[0].subject.pid == Some(opener),
        "{only:#?}"
    );
    let held = still[0].holders.iter().flatten().map(|one| one.pid);
    ensure!(held.collect::<Vec<_>>().contains(&heir), "{still:#?}");
    Ok(())
}

/// Two heirs are left: either may be the user, so that none is named; both are shown to hold it, and a filter for
/// either takes it.
fn two_are_left() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let all = LogTool::watch(Place::Btf, netns, &[])?;
    let [(client, server)] = &connections(&mut stage, 1)?[..] else {
        bail!("not one connection");
    };
    let heirs = [
        heir(&mut stage, server, "heir-one")?,
        heir(&mut stage, server, "heir-two")?,
    ];
    let of_heir = |pid: u32| LogTool::watch(Place::Btf, netns, &["--pid", &pid.to_string()]);
    let only = [of_heir(heirs[0])?, of_heir(heirs[1])?];
    stage.server.tell(&Order::Close {
        fds: vec![server.fd],
    })?;
    looked();
    stage.client.tell(&Order::Close {
        fds: vec![client.fd],
    })?;
    stage.server.tell(
        &Order::Await {
            fd: server.fd,
            state: CLOSE_WAIT,
        }
        .by(heirs[0]),
    )?;
    let text = Tool::look(Place::Btf, netns, &[])?;
    let all = all.end()?;
    let entered = to(&all, "CLOSE_WAIT");
    ensure!(
        entered.len() == 1 && entered[0].subject.user.is_none(),
        "{all:#?}"
    );
    let [one, two] = only;
    for log in [all, one.end()?, two.end()?] {
        let still = of_servers(&log);
        let mut held: Vec<_> = still
            .iter()
            .flat_map(|one| one.holders.iter().flatten())
            .map(|one| one.pid)
            .collect();
        held.sort_unstable();
        held.dedup();
        let mut expected = heirs.to_vec();
        expected.sort_unstable();
        ensure!(still.len() == 1 && held == expected, "{log:#?}");
    }
    ensure!(text.sockets.len() == 1, "{text:#?}");
    Ok(())
}

/// The process that listened has gone, and a worker accepts from its listener: connections that nobody has accepted
/// yet are at the worker's.
fn of_a_listener() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let all = LogTool::watch(Place::Btf, netns, &[])?;
    let mut master = Actor::start(stage.netns(), "master")?;
    let address = "127.0.0.1:0".parse()?;
    let listener = master.socket(&Order::Listen {
        address,
        backlog: 8,
    })?;
    let mut worker = Actor::start(stage.netns(), "worker")?;
    worker.tell(&Order::Mailbox {
        name: "listeners".into(),
    })?;
    let (fd, name) = (listener.fd, "listeners".into());
    master.tell(&Order::Pass { fd, name })?;
    worker.tell(&Order::Take)?;
    drop(master);
    looked();
    stage.client.tell(&Order::Connect {
        address: listener.local,
        count: 1,
    })?;
    std::thread::sleep(Duration::from_millis(100));
    let log = all.end()?;
    let mut came_in = log
        .transitions
        .iter()
        .filter(|line| line.from == "SYN_RECV");
    let line = came_in.next().context("nothing came in")?;
    let right = line.subject.owner == "listener" && line.subject.pid == Some(worker.pid());
    ensure!(right, "{line:#?}");
    Ok(())
}

/// The end of a close may fall to a tcptrace that looks: nobody is named, and not a process of that name.
fn looked_at() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let mut looker = Actor::start(stage.netns(), "tcptrace")?;
    let all = LogTool::watch(Place::Btf, netns, &[])?;
    let [(_client, server)] = &connections(&mut stage, 1)?[..] else {
        bail!("not one connection");
    };
    let fds = pass(&mut stage, &mut looker, &[server])?;
    looker.tell(&Order::Close { fds })?;
    std::thread::sleep(Duration::from_millis(100));
    let all = all.end()?.lossless()?;
    let closing = to(&all, "FIN_WAIT1");
    // That it has the socket may have been seen, too.
    let right = |line: &&Transition| line.caller.is_none() && line.subject.owner != "call";
    ensure!(closing.len() == 1 && closing.iter().all(right), "{all:#?}");
    Ok(())
}

/// A process that has executed another program has another name: a filter takes its calls by the new one, too.
fn after_an_exec() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let mut actor = Actor::start(stage.netns(), "caterpillar")?;
    let (address, count) = (stage.listener(FAMILY).local, 1);
    let logs = ["caterpillar", "butterfly"];
    let logs = logs.map(|comm| LogTool::watch(Place::Btf, netns, &["--comm", comm]));
    let client = actor.socket(&Order::Connect { address, count })?;
    stage.accept(FAMILY, count)?;
    let (comm, fds) = ("butterfly".into(), vec![client.fd]);
    actor.tell(&Order::Become {
        comm,
        fds: fds.clone(),
    })?;
    actor.tell(&Order::Close { fds })?;
    std::thread::sleep(Duration::from_millis(100));
    for log in logs {
        let log = log?.end()?;
        let closing = log.transitions.iter().filter(|line| line.to == "FIN_WAIT1");
        let callers: Vec<_> = closing
            .map(|line| line.caller.as_ref().map(|one| &*one.comm))
            .collect();
        ensure!(callers == [Some("butterfly")], "{log:#?}");
    }
    Ok(())
}
