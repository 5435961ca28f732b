//! Whose accept queue a socket waits in that no process has accepted. The addresses do not tell it here: the truth is
//! which listener the kernel gives the socket to when it is accepted afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    net::{Ipv6Addr, SocketAddr},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use testbed::{Actor, Beside, Device, Family, Netns, Order, Socket, Stage};

use crate::{
    harness::{case::Cases, place::Place, verdict::Ignored},
    run::{snapshot::Snapshot, tool::Tool},
};

pub fn add(cases: &mut Cases) {
    cases.add("queue_of_a_shared_port", shared_port);
    cases.add("queue_of_an_interface", of_an_interface);
    cases.add("queue_of_a_transparent_proxy", transparent_proxy);
    cases.add("queue_of_forked_workers", forked_workers);
}

/// A process that listens.
struct Server {
    actor: Actor,
    listener: Socket,
}

impl Server {
    fn start(netns: &Netns, comm: &str, address: SocketAddr, how: Beside) -> Result<Self> {
        let mut actor = Actor::start(netns, comm)?;
        let listener = actor.socket(&Order::ListenBeside {
            address,
            backlog: BACKLOG,
            how,
        })?;
        Ok(Self { actor, listener })
    }

    /// Accepts what waits: the clients' ends.
    fn clients(&mut self) -> Result<BTreeSet<SocketAddr>> {
        let fd = self.listener.fd;
        let accepted = self.actor.sockets(&Order::AcceptWaiting { fd })?;
        Ok(accepted.iter().filter_map(|socket| socket.remote).collect())
    }
}

const BACKLOG: i32 = 64;

/// Connects to all of these addresses, this many times each, and closes in this direction.
fn call(client: &mut Actor, addresses: &[SocketAddr], count: usize) -> Result<()> {
    let mut fds = Vec::new();
    for &address in addresses {
        let sockets = client.sockets(&Order::Connect { address, count })?;
        fds.extend(sockets.iter().map(|socket| socket.fd));
    }
    client.tell(&Order::ShutdownAll { fds })?;
    Ok(())
}

/// Looks at the sockets, both of those that the tool has seen to enter and by a look of its own, before the servers
/// accept them; each must have found a listener.
fn each_at_its_own(
    netns: &Netns,
    servers: &mut [Server],
    client: &mut Actor,
    addresses: &[SocketAddr],
    count: usize,
) -> Result<()> {
    let mut tool = Tool::watch(Place::AsIs, netns.inode(), &[])?;
    tool.fresh()?;
    call(client, addresses, count)?;
    let looks = [Tool::look(Place::AsIs, netns.inode(), &[])?, tool.fresh()?];
    tool.end()?;
    let mut truth = BTreeMap::new();
    for server in servers {
        let (pid, clients) = (server.actor.pid(), server.clients()?);
        ensure!(
            !clients.is_empty(),
            "nothing waits at {}",
            server.actor.comm()
        );
        truth.insert(pid, clients);
    }
    looks.iter().try_for_each(|look| at_their_own(look, &truth))
}

fn at_their_own(look: &Snapshot, truth: &BTreeMap<u32, BTreeSet<SocketAddr>>) -> Result<()> {
    let all: usize = truth.values().map(BTreeSet::len).sum();
    ensure!(look.sockets.len() == all, "not {all}: {:#?}", look.sockets);
    for socket in &look.sockets {
        let remote = socket.remote.socket_addr().context("no port")?;
        let mut of_all = truth.iter();
        let (pid, clients) = of_all
            .find(|(_, clients)| clients.contains(&remote))
            .with_context(|| format!("invented: {socket:#?}"))?;
        ensure!(
            socket.accepted == Some(false) && socket.role == "server" && socket.held == "none",
            "not shown as waiting: {socket:#?}"
        );
        let listener = socket.listener.as_ref().context("no listener")?;
        ensure!(
            listener.pid == Some(*pid),
            "it waits at {pid}, not there: {socket:#?}"
        );
        ensure!(
            listener.queued == u32::try_from(clients.len()).ok()
                && listener.backlog == u32::try_from(BACKLOG).ok(),
            "{} of {BACKLOG} wait: {listener:#?}",
            clients.len()
        );
    }
    Ok(())
}

/// The kernel spreads the connections over the listeners by a hash.
fn shared_port() -> Result<()> {
    let netns = Netns::new()?;
    let any_port = "127.0.0.1:0".parse()?;
    let start = |comm, address| Server::start(&netns, comm, address, Beside::SharedPort);
    let first = start("first", any_port)?;
    let address = first.listener.local;
    let mut servers = [first, start("second", address)?];
    let mut client = Actor::start(&netns, "caller")?;
    each_at_its_own(&netns, &mut servers, &mut client, &[address], 30)
}

/// Where a connection arrived is not in its addresses: a listener for any address takes it.
fn of_an_interface() -> Result<()> {
    const PORT: u16 = 8080;
    let netns = Netns::new()?;
    let address = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    let device = Device::new(&netns, "other", address);
    let _device = device.map_err(|error| Ignored::because(format!("no tunnel: {error:#}")))?;
    let start = |comm, name: &str| {
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), PORT);
        Server::start(&netns, comm, any, Beside::Device(name.into()))
    };
    let mut servers = [start("at-lo", "lo")?, start("at-other", "other")?];
    let mut client = Actor::start(&netns, "caller")?;
    let addresses = [Ipv6Addr::LOCALHOST, address].map(|ip| SocketAddr::new(ip.into(), PORT));
    each_at_its_own(&netns, &mut servers, &mut client, &addresses, 5)
}

/// The connections go to another port than that of the listener, and another process listens there.
fn transparent_proxy() -> Result<()> {
    const RULES: &str = "table ip proxy {
        chain divert {
            type filter hook prerouting priority mangle;
            ip daddr 127.0.0.2 tcp dport { 8080, 8081 } tproxy to :15006 accept
        }
    }";
    let netns = Netns::new()?;
    let ruled = netns.run(|| rule(RULES))?;
    ruled.map_err(|error| Ignored::because(format!("no TPROXY: {error:#}")))?;
    let start =
        |comm, address: &str| Server::start(&netns, comm, address.parse()?, Beside::Transparent);
    let _innocent = start("innocent", "127.0.0.2:8080")?;
    let mut servers = [start("sidecar", "0.0.0.0:15006")?];
    let mut client = Actor::start(&netns, "caller")?;
    let addresses = ["127.0.0.2:8080".parse()?, "127.0.0.2:8081".parse()?];
    each_at_its_own(&netns, &mut servers, &mut client, &addresses, 5)
}

fn rule(rules: &str) -> Result<()> {
    let mut command = Command::new("nft");
    command.args(["-f", "-"]).stdin(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().context("nft")?;
    let mut to = child.stdin.take().context("no stdin")?;
    to.write_all(rules.as_bytes())?;
    drop(to);
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "nft: {}", said.trim());
    Ok(())
}

/// Any of the processes that share a listener may accept: none of them is named as the one, and each is asked for.
fn forked_workers() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let fd = stage.listener(Family::Ipv4).fd;
    let worker = stage.server.worker("forked-worker", &[fd])?;
    let mut tool = Tool::watch(Place::AsIs, netns, &[])?;
    tool.fresh()?;
    let truths = stage.never_accepted(Family::Ipv4, 3)?;
    let both = [stage.server.pid(), worker];
    shared(&tool.fresh()?, both, truths.len())?;
    tool.end()?;
    for pid in both {
        let only = ["--pid", &pid.to_string()];
        shared(&Tool::look(Place::AsIs, netns, &only)?, both, truths.len())
            .with_context(|| format!("{only:?}"))?;
    }
    let only = ["--pid", &stage.client.pid().to_string()];
    let other = Tool::look(Place::AsIs, netns, &only)?;
    ensure!(other.sockets.is_empty(), "{only:?}: {:#?}", other.sockets);
    Ok(())
}

fn shared(look: &Snapshot, both: [u32; 2], count: usize) -> Result<()> {
    ensure!(
        look.sockets.len() == count,
        "not {count}: {:#?}",
        look.sockets
    );
    let both = BTreeSet::from(both);
    for socket in &look.sockets {
        let listener = socket.listener.as_ref().context("no listener")?;
        let holders = listener.holders.iter().flatten();
        let pids: BTreeSet<_> = holders.map(|holder| holder.pid).collect();
        ensure!(
            listener.pid.is_none() && listener.comm.is_none() && pids == both,
            "not {both:?}: {socket:#?}"
        );
    }
    let [group] = &look.groups[..] else {
        anyhow::bail!("not one group: {:#?}", look.groups);
    };
    let candidates = group.candidates.iter().map(|one| one.pid).collect();
    ensure!(
        group.pid.is_none() && both == candidates && group.sockets == count,
        "not {both:?}: {group:#?}"
    );
    Ok(())
}
