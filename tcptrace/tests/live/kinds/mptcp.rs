//! MPTCP: a connection is shown as the process has it, once, and its subflows are not.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use rustix::thread::CapabilitySet;
use testbed::{Actor, Netns, Order, Reply, Socket, clock::patience};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
        verdict::{Ignored, counted, judge},
    },
    run::{
        hist,
        log::{Log, LogTool},
        snapshot::{self, Snapshot},
        states::States,
        summary::Summary,
        tool::Tool,
    },
    stuck::walk::ways::look_in_all,
};

pub fn add(cases: &mut Cases) {
    cases.add("mptcp_in_all_ways", in_all_ways);
    cases.add_in(BOTH, "mptcp_enters_and_leaves", enters_and_leaves);
    cases
        .add_in(BOTH, "mptcp_in_log_and_hist", in_log_and_hist)
        .here_in(Place::Tracepoint);
}

/// Sockets of each kind.
const COUNT: usize = 3;

/// A server that speaks MPTCP and also listens by TCP, a client that speaks MPTCP, and one that does not.
struct Stage {
    server: Actor,
    client: Actor,
    plain: Actor,
    mptcp: Socket,
    tcp: Socket,
    // Last, so that it is dropped last.
    netns: Netns,
}

/// What is stuck, by its local port: the client's, of those whose client is stuck.
type Truth = BTreeMap<(u16, &'static str), (usize, Option<u32>)>;

impl Stage {
    fn new() -> Result<Self> {
        let netns = Netns::new()?;
        let mut server = Actor::start(&netns, "mp-server")?;
        let mut client = Actor::start(&netns, "mp-client")?;
        let plain = Actor::start(&netns, "plain-client")?;
        let listen = Order::Listen {
            address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0),
            backlog: 64,
        };
        let tcp = server.socket(&listen)?;
        for actor in [&mut server, &mut client] {
            if let Reply::Error(error) = actor.tell(&Order::SpeakMptcp)? {
                let error = std::io::Error::from_raw_os_error(error);
                return Err(Ignored::because(format!("no MPTCP: {error}")));
            }
        }
        let mptcp = server.socket(&listen)?;
        Ok(Self {
            server,
            client,
            plain,
            mptcp,
            tcp,
            netns,
        })
    }

    /// Connections to the MPTCP listener whose client closes: of MPTCP, accepted or not, and of TCP; and connections of
    /// the MPTCP client to the TCP listener, which the server closes.
    fn leak(&mut self) -> Result<Truth> {
        let connect = |address| Order::Connect {
            address,
            count: COUNT,
        };
        let (mptcp, tcp) = (self.mptcp.local, self.tcp.local);
        let accepted = self.client.sockets(&connect(mptcp))?;
        // MPTCP speaks to both listeners, and only one of them answers.
        let fallen_back = self.client.sockets(&connect(tcp))?;
        let plain = self.plain.sockets(&connect(mptcp))?;
        let accept = |fd, count| Order::Accept { fd, count };
        self.server.sockets(&accept(self.mptcp.fd, 2 * COUNT))?;
        let served = self.server.sockets(&accept(self.tcp.fd, COUNT))?;
        let waiting = self.client.sockets(&connect(mptcp))?;
        let fds = |sockets: &[Socket]| sockets.iter().map(|one| one.fd).collect::<Vec<_>>();
        for socket in accepted.iter().chain(&waiting) {
            // The kernel is sure of the peer's MPTCP once data has come.
            let (fd, bytes) = (socket.fd, 5);
            self.client.tell(&Order::Send { fd, bytes })?;
        }
        std::thread::sleep(Duration::from_millis(100));
        let closed = [fds(&accepted), fds(&waiting)].concat();
        self.client.tell(&Order::Close { fds: closed })?;
        self.plain.tell(&Order::Close { fds: fds(&plain) })?;
        self.server.tell(&Order::Close { fds: fds(&served) })?;
        let (server, client) = (self.server.pid(), self.client.pid());
        let mut truth = Truth::new();
        truth.insert((mptcp.port(), "mptcp"), (2 * COUNT, Some(server)));
        truth.insert((mptcp.port(), "tcp"), (COUNT, Some(server)));
        for socket in &fallen_back {
            truth.insert((socket.local.port(), "mptcp"), (1, Some(client)));
        }
        Ok(truth)
    }
}

/// What a look shows, in the form of the truth: those that wait count for the process that listens.
fn shown(look: &Snapshot) -> Truth {
    let mut shown = Truth::new();
    for socket in &look.sockets {
        let name = if socket.protocol == "mptcp" {
            "mptcp"
        } else {
            "tcp"
        };
        let holder = socket.holders.iter().flatten().next().map(|one| one.pid);
        let listener = socket.listener.as_ref().and_then(|one| one.pid);
        let entry = shown.entry((socket.local.port.unwrap_or(0), name));
        let (count, pid) = entry.or_insert((0, holder.or(listener)));
        *count += 1;
        if *pid != holder.or(listener) {
            *pid = None;
        }
    }
    shown
}

/// Looks until everything is seen: the kernel closes MPTCP connections a moment later.
fn until(mut look: impl FnMut() -> Result<Snapshot>, truth: &Truth) -> Result<Snapshot> {
    let start = Instant::now();
    loop {
        let seen = look()?;
        if shown(&seen) == *truth {
            return Ok(seen);
        }
        ensure!(
            start.elapsed() < patience(),
            "shown {:?}, true {truth:?}: {:#?}",
            shown(&seen),
            seen.sockets
        );
    }
}

fn in_all_ways() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns.inode();
    let mut truth = stage.leak()?;
    until(|| Tool::look(Place::AsIs, netns, &[]), &truth)?;
    let states = States::look(netns, &["--by", "netns"])?;
    let total: usize = truth.values().map(|(count, _)| count).sum();
    ensure!(states.of("CLOSE_WAIT") == total as u64, "{states:#?}");
    ensure!(states.groups.len() == 1, "{states:#?}");
    let netns_text = netns.to_string();
    let words = [
        "stuck",
        "--once",
        "--json",
        "--older-than",
        "0s",
        "--netns",
        &netns_text,
    ];
    // Without this capability sock_diag does not say what a subflow is.
    for more in [&[][..], &["--walk", "proc"]] {
        let words = [&words[..], more].concat();
        let outcome = Tool::start_without(CapabilitySet::NET_ADMIN, &words)?.wait()?;
        let look = &outcome.success()?.snapshots()?[0];
        let all = look.sockets.iter().filter(|one| one.protocol == "mptcp");
        let right = truth
            .iter()
            .filter(|((_, protocol), _)| *protocol == "mptcp");
        let right: usize = right.map(|(_, (count, _))| count).sum();
        ensure!(all.count() == right, "{more:?}: {:#?}", look.sockets);
        ensure!(look.sockets.len() == total, "{more:?}: {:#?}", look.sockets);
    }
    for (way, look) in look_in_all(netns)? {
        if look.has_caveat("unlisted_mptcp") {
            bail!("way {way}: {:?}", look.caveats);
        }
        if way == "proc" {
            // Which listener's queue a connection waits in is only known by addresses: here there is one.
            truth = shown(&look);
        }
        ensure!(shown(&look) == truth, "way {way}: {:#?}", look.sockets);
        look.sockets.iter().try_for_each(|one| right(one, way))?;
    }
    Ok(())
}

fn right(socket: &snapshot::Socket, way: &str) -> Result<()> {
    let wrong = || format!("way {way}: {socket:#?}");
    let is_mptcp = socket.protocol == "mptcp";
    // The kernel gives several connections one cookie.
    ensure!(socket.cookie.is_none() || !is_mptcp, "{}", wrong());
    if is_mptcp && way != "proc" {
        ensure!(matches!(socket.subflows, Some(1) | None), "{}", wrong());
        ensure!(socket.role != "unknown", "{}", wrong());
    }
    Ok(())
}

/// Entered less left is still there, with exact ages.
fn enters_and_leaves(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns.inode();
    let mut tool = Tool::watch(place, netns, &[])?;
    tool.fresh()?;
    let truth = stage.leak()?;
    let look = until(|| tool.fresh(), &truth)?;
    let total: usize = truth.values().map(|(count, _)| count).sum();
    let exact = look.sockets.iter().filter(|one| one.age == "exact");
    let skipped = look.tracing.recursion_misses.unwrap_or(0);
    let exact = exact.count() as u64 + skipped;
    ensure!(exact >= total as u64, "not exact: {:#?}", look.sockets);
    drop((stage.server, stage.client));
    until(|| tool.fresh(), &Truth::new())?;
    let outcome = tool.end()?;
    let summary = Summary::of(&outcome.stderr)?;
    let (entered, left): (u64, u64) = (summary.entered.parse()?, summary.left.parse()?);
    ensure!(summary.still == "0", "{}", outcome.stderr);
    ensure!(entered + skipped >= total as u64, "{}", outcome.stderr);
    ensure!(left + skipped >= entered, "{}", outcome.stderr);
    Ok(())
}

fn in_log_and_hist(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns.inode();
    let before = stage.leak()?;
    until(|| Tool::look(Place::AsIs, netns, &[]), &before)?;
    let log = LogTool::watch(place, netns, &[])?;
    let hist = hist::watch(place, netns, "--by comm")?;
    let after = stage.leak()?;
    let mut both = before.clone();
    for (key, (count, pid)) in &after {
        both.entry(*key).or_insert((0, *pid)).0 += count;
    }
    until(|| Tool::look(Place::AsIs, netns, &[]), &both)?;
    let log = log.end()?;
    let total = |truth: &Truth| truth.values().map(|(count, _)| count).sum::<usize>();
    let reports = hist::end_all(place, vec![hist])?;
    judge(log.skipped(), in_log(&log, total(&after), total(&both)))?;
    hist::judge(&reports, |reports| {
        let mut sum = 0;
        for one in &reports[0].histograms {
            let right = one.state == "CLOSE_WAIT" && one.finished.count == 0;
            ensure!(right, "{one:#?}");
            sum += one.so_far.exact.count + one.so_far.at_least.count;
        }
        let what = || format!("{:#?}", reports[0].histograms);
        counted(sum, total(&both) as u64, what)
    })
}

/// All that entered, all that is open, and whose it is.
fn in_log(log: &Log, entered: usize, all: usize) -> Result<()> {
    let seen = log.transitions.iter().filter(|one| one.to == "CLOSE_WAIT");
    counted(seen.count() as u64, entered as u64, || "entered".into())?;
    let open: Vec<_> = (log.open.iter())
        .filter(|one| one.state == "CLOSE_WAIT")
        .collect();
    counted(open.len() as u64, all as u64, || format!("open: {open:#?}"))?;
    let server = open
        .iter()
        .filter(|one| one.subject.comm.as_deref() == Some("mp-server"));
    ensure!(server.count() == 6 * COUNT, "whose: {open:#?}");
    Ok(())
}
