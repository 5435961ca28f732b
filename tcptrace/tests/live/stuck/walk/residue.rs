//! Sockets that are dead in the network and still open in a process, among all kinds of sockets that are not.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use testbed::{
    Family, Order, Other, Reply, Role, Socket, Span,
    clock::monotonic_ns,
    state::{CLOSE, CLOSE_WAIT, ESTABLISHED, FIN_WAIT2, LAST_ACK},
};

use crate::{
    harness::{case::Cases, place::Place, verdict::Ignored},
    run::tool::Tool,
    stuck::walk::odd::{Death, End, Odd, Truth},
};

pub fn add(cases: &mut Cases) {
    cases.add("residue_among_odd_sockets", among_odd_sockets);
    cases.add("residue_of_timeouts", of_timeouts);
    cases.add("residue_of_destroyed", of_destroyed);
    cases.add("residue_of_a_listener_without_backlog", without_backlog);
    cases.add("residue_of_what_did_not_wait", did_not_wait);
}

fn dies(by: &'static str, was_close_wait: bool, when: Span) -> Result<Death> {
    Ok(Death {
        by,
        was_close_wait,
        certain: true,
        when,
    })
}

fn reset_in_established(odd: &mut Odd, own: &Socket, peer: &Socket) -> Result<Death> {
    dies("reset", false, odd.peer_resets(own, peer)?)
}

fn reset_in_close_wait(odd: &mut Odd, own: &Socket, peer: &Socket) -> Result<Death> {
    odd.peers_fin(own, peer)?;
    dies("reset", true, odd.peer_resets(own, peer)?)
}

fn reset_in_fin_wait2(odd: &mut Odd, own: &Socket, peer: &Socket) -> Result<Death> {
    odd.own_fin(own, FIN_WAIT2)?;
    dies("reset", false, odd.peer_resets(own, peer)?)
}

fn reset_in_last_ack(odd: &mut Odd, own: &Socket, peer: &Socket) -> Result<Death> {
    odd.peers_fin(own, peer)?;
    deafen(odd, peer, FIN_WAIT2)?;
    odd.own_fin(own, LAST_ACK)?;
    dies("reset", false, odd.peer_resets(own, peer)?)
}

/// Reading the error clears what says how it died. That it was in CLOSE_WAIT is still known of a server's socket, but
/// a client's looks like a server's that was closed and had a backlog of 0.
fn error_read(odd: &mut Odd, own: &Socket, peer: &Socket) -> Result<Death> {
    let death = reset_in_close_wait(odd, own, peer)?;
    let mut listeners = Family::ALL.iter().map(|family| odd.stage.listener(*family));
    let is_server = listeners.any(|listener| listener.local == own.local);
    match odd.stage.server.tell(&Order::ReadError { fd: own.fd })? {
        Reply::Error(libc::EPIPE) => Ok(Death {
            by: "unknown",
            certain: is_server,
            ..death
        }),
        other => bail!("not EPIPE but {other:?}"),
    }
}

fn write_into_reset(odd: &mut Odd, own: &Socket, peer: &Socket) -> Result<Death> {
    odd.close_peer(peer)?;
    odd.until(own, CLOSE_WAIT)?;
    let before_ns = monotonic_ns();
    let (fd, bytes) = (own.fd, 1);
    odd.stage.server.tell(&Order::Send { fd, bytes })?;
    let after_ns = odd.until(own, CLOSE)?;
    dies(
        "reset",
        true,
        Span {
            before_ns,
            after_ns,
        },
    )
}

/// The process shuts down after the peer and keeps the descriptor.
fn closed_after_peer(odd: &mut Odd, own: &Socket, peer: &Socket) -> Result<Death> {
    odd.peers_fin(own, peer)?;
    let before_ns = monotonic_ns();
    odd.own_fin(own, CLOSE)?;
    let after_ns = monotonic_ns();
    odd.close_peer(peer)?;
    dies(
        "closed",
        false,
        Span {
            before_ns,
            after_ns,
        },
    )
}

fn closed_before_peer(odd: &mut Odd, own: &Socket, peer: &Socket) -> Result<Death> {
    odd.own_fin(own, FIN_WAIT2)?;
    let before_ns = odd.close_peer(peer)?;
    let after_ns = odd.until(own, CLOSE)?;
    dies(
        "closed",
        false,
        Span {
            before_ns,
            after_ns,
        },
    )
}

const ENDS: [(&str, End); 8] = [
    ("reset in ESTABLISHED", reset_in_established),
    ("reset in CLOSE_WAIT", reset_in_close_wait),
    ("reset in FIN_WAIT2", reset_in_fin_wait2),
    ("reset in LAST_ACK", reset_in_last_ack),
    ("its error was read", error_read),
    ("written into a reset", write_into_reset),
    ("closed after its peer", closed_after_peer),
    ("closed before its peer", closed_before_peer),
];

fn among_odd_sockets() -> Result<()> {
    let mut odd = Odd::new()?;
    never_connected(&mut odd)?;
    still_alive(&mut odd)?;
    for (what, end) in ENDS {
        for (role, family) in [
            (Role::Server, Family::Ipv4),
            (Role::Client, Family::Ipv4),
            (Role::Client, Family::Ipv6),
            (Role::Server, Family::Mapped),
        ] {
            odd.died(what, role, family, end)?;
        }
    }
    let netns = odd.stage.netns().inode();
    odd.check(&Tool::look(Place::AsIs, netns, &[])?)?;
    let [server, client] = [&odd.stage.server, &odd.stage.client].map(|one| one.pid().to_string());
    odd.check(&Tool::look(Place::AsIs, netns, &["--pid", &server])?)?;
    let others = Tool::look(Place::AsIs, netns, &["--pid", &client])?;
    ensure!(
        others.residue == Some(vec![]) && others.failed_connects == Some(vec![]),
        "the client has none: {others:#?}"
    );
    let mut tool = Tool::watch(Place::AsIs, netns, &[])?;
    odd.check(&tool.fresh()?)?;
    tool.end()?;
    Ok(())
}

/// Sockets in CLOSE that never were connections, listeners, and sockets that are not TCP's.
fn never_connected(odd: &mut Odd) -> Result<()> {
    for family in Family::ALL {
        let any = SocketAddr::new(family.loopback(), 0);
        let fresh = odd.open(any, false)?;
        odd.keep("fresh", &fresh, Truth::Other);
        // Nobody listens there.
        let bound = odd.open(any, true)?;
        odd.keep("bound", &bound, Truth::Other);
        for blocking in [true, false] {
            let (own, address) = (odd.open(any, false)?, bound.local);
            let dial = Order::Dial {
                fd: own.fd,
                address,
                blocking,
            };
            let answer = odd.stage.server.tell(&dial)?;
            ensure!(
                matches!(answer, Reply::Error(libc::ECONNREFUSED)),
                "{answer:?}"
            );
            match blocking {
                true => odd.keep("refused", &own, Truth::Other),
                false => odd.keep("refused later", &own, Truth::FailedConnect(address)),
            }
        }
        let listener = odd.open(any, true)?;
        let (fd, backlog) = (listener.fd, 5);
        odd.stage.server.tell(&Order::ListenOn { fd, backlog })?;
        odd.keep("listening", &listener, Truth::Other);
        let listener = odd.open(any, true)?;
        let (fd, both) = (listener.fd, true);
        odd.stage.server.tell(&Order::ListenOn { fd, backlog })?;
        odd.stage.server.tell(&Order::ShutdownToo { fd, both })?;
        odd.until(&listener, CLOSE)?;
        odd.keep("listened before", &listener, Truth::Other);
    }
    for kind in [Other::RawTcp, Other::Udp, Other::Unix] {
        odd.stage.server.tell(&Order::OpenOther { kind })?;
    }
    Ok(())
}

fn still_alive(odd: &mut Odd) -> Result<()> {
    for role in [Role::Server, Role::Client] {
        let (own, _) = odd.pair(role, Family::Ipv4)?;
        odd.until(&own, ESTABLISHED)?;
        odd.keep("connected", &own, Truth::Other);
        let (own, _) = odd.pair(role, Family::Ipv6)?;
        odd.own_fin(&own, FIN_WAIT2)?;
        odd.keep("half closed", &own, Truth::Other);
        let (own, peer) = odd.pair(role, Family::Mapped)?;
        odd.peers_fin(&own, &peer)?;
        odd.keep("half closed by the peer", &own, Truth::Other);
        let (own, peer) = odd.pair(role, Family::Ipv4)?;
        odd.stage.server.tell(&Order::Disconnect { fd: own.fd })?;
        odd.close_peer(&peer)?;
        odd.keep("disconnected", &own, Truth::Other);
    }
    Ok(())
}

/// Makes the peer unreachable once it is in this state: until then it may still have to be acknowledged.
fn deafen(odd: &mut Odd, peer: &Socket, state: u8) -> Result<()> {
    let fd = peer.fd;
    odd.stage.client.time(&Order::Await { fd, state })?;
    odd.stage.client.tell(&Order::Deafen { fd })?;
    Ok(())
}

/// Nothing comes from the peer any more.
fn of_timeouts() -> Result<()> {
    let mut odd = Odd::new()?;
    let mut waiting = Vec::new();
    for (role, family) in [(Role::Server, Family::Ipv4), (Role::Client, Family::Ipv6)] {
        let (own, peer) = odd.pair(role, family)?;
        deafen(&mut odd, &peer, ESTABLISHED)?;
        let (fd, milliseconds, bytes) = (own.fd, 300, 1);
        odd.stage
            .server
            .tell(&Order::UserTimeout { fd, milliseconds })?;
        odd.stage.server.tell(&Order::Send { fd, bytes })?;
        waiting.push(("unacknowledged", own, false));
        let (own, peer) = odd.pair(role, family)?;
        deafen(&mut odd, &peer, ESTABLISHED)?;
        keepalive(&mut odd, &own)?;
        waiting.push(("silent", own, false));
        let (own, peer) = odd.pair(role, family)?;
        odd.peers_fin(&own, &peer)?;
        deafen(&mut odd, &peer, FIN_WAIT2)?;
        keepalive(&mut odd, &own)?;
        waiting.push(("silent since its FIN", own, true));
    }
    let fds = waiting.iter().map(|(_, own, _)| own.fd).collect();
    let state = CLOSE;
    let Reply::Brackets(all) = odd.stage.server.tell(&Order::AwaitAll { fds, state })? else {
        bail!("no brackets in the answer");
    };
    for ((what, own, was_close_wait), (before_ns, after_ns)) in waiting.into_iter().zip(all) {
        let when = Span {
            before_ns,
            after_ns,
        };
        let death = dies("timeout", was_close_wait, when)?;
        odd.keep(what, &own.clone(), Truth::Died(own, death));
    }
    let netns = odd.stage.netns().inode();
    odd.check(&Tool::look(Place::AsIs, netns, &[])?)
}

fn keepalive(odd: &mut Odd, own: &Socket) -> Result<()> {
    odd.stage.server.tell(&Order::Keepalive {
        fd: own.fd,
        idle: 1,
        interval: 1,
        count: 1,
    })?;
    Ok(())
}

/// Somebody else's decision, as that of `ss -K`.
fn of_destroyed() -> Result<()> {
    let mut odd = Odd::new()?;
    for family in Family::ALL {
        for role in [Role::Server, Role::Client] {
            odd.died(
                "destroyed in ESTABLISHED",
                role,
                family,
                |odd, own, peer| dies("destroyed", false, destroy(odd, own, peer)?),
            )?;
            odd.died("destroyed in CLOSE_WAIT", role, family, |odd, own, peer| {
                odd.peers_fin(own, peer)?;
                dies("destroyed", true, destroy(odd, own, peer)?)
            })?;
        }
    }
    let netns = odd.stage.netns().inode();
    odd.check(&Tool::look(Place::AsIs, netns, &[])?)
}

fn destroy(odd: &mut Odd, own: &Socket, peer: &Socket) -> Result<Span> {
    let before_ns = match odd.stage.server.tell(&Order::Destroy { fd: own.fd })? {
        Reply::Time(before_ns) => before_ns,
        Reply::Error(libc::EOPNOTSUPP) => {
            return Err(Ignored::because("this kernel destroys no sockets"));
        }
        other => bail!("it is not destroyed: {other:?}"),
    };
    let after_ns = odd.until(own, CLOSE)?;
    odd.close_peer(peer)?;
    Ok(Span {
        before_ns,
        after_ns,
    })
}

/// A server's socket that inherited a backlog of 0 looks like a client's: one sequence number beside the data may be
/// a client's SYN or this one's FIN. What cannot be told must not be claimed.
fn without_backlog() -> Result<()> {
    let mut odd = Odd::new()?;
    let (address, backlog) = (SocketAddr::new(Family::Ipv4.loopback(), 0), 0);
    let listener = odd
        .stage
        .server
        .socket(&Order::Listen { address, backlog })?;
    let mut truths = Vec::new();
    for (end, was_close_wait) in [
        (reset_in_last_ack as End, false),
        (reset_in_close_wait, true),
        (reset_in_established, false),
        (closed_after_peer, false),
    ] {
        let (fd, address, count) = (listener.fd, listener.local, 1);
        let peer = odd
            .stage
            .client
            .socket(&Order::Connect { address, count })?;
        let own = odd.stage.server.socket(&Order::Accept { fd, count })?;
        end(&mut odd, &own, &peer)?;
        truths.push((own, was_close_wait));
    }
    let netns = odd.stage.netns().inode();
    let look = Tool::look(Place::AsIs, netns, &[])?;
    odd.can_look(&look)?;
    for (own, was_close_wait) in truths {
        let mut residue = look.residue.iter().flatten();
        let found = residue.find(|one| one.inode == own.inode);
        let found = found.with_context(|| format!("not seen: {own:?}"))?;
        ensure!(
            found.was_close_wait.is_none_or(|was| was == was_close_wait),
            "was_close_wait is {was_close_wait}: {found:#?}"
        );
    }
    Ok(())
}

/// The process did not wait for its connects. They succeeded all the same: what became of them later is no connect that
/// failed.
fn did_not_wait() -> Result<()> {
    let mut odd = Odd::new()?;
    let listener = odd.stage.listener(Family::Ipv4).clone();
    // The roles are the other way round than elsewhere: the peer listens.
    let (address, count, fd) = (listener.local, 3, listener.fd);
    let order = Order::ConnectUnanswered { address, count };
    let own = odd.stage.client.sockets(&order)?;
    let peers = odd.stage.server.sockets(&Order::Accept { fd, count })?;
    // The last one is only half closed.
    for (number, own) in own.iter().enumerate() {
        let peer = peers.iter().find(|peer| peer.remote == Some(own.local));
        let fd = peer.context("a stranger was accepted")?.fd;
        odd.stage.server.time(&Order::Shutdown { fd })?;
        let (state, own) = (CLOSE_WAIT, own.fd);
        odd.stage.client.time(&Order::Await { fd: own, state })?;
        if number < 2 {
            odd.stage.server.time(&Order::Reset { fds: vec![fd] })?;
            let state = CLOSE;
            odd.stage.client.time(&Order::Await { fd: own, state })?;
        }
    }
    let look = Tool::look(Place::AsIs, odd.stage.netns().inode(), &[])?;
    odd.can_look(&look)?;
    ensure!(
        look.failed_connects == Some(vec![]),
        "they succeeded: {look:#?}"
    );
    let residue = look.residue.context("not looked for")?;
    ensure!(residue.len() == 2, "not two: {residue:#?}");
    for (own, stuck) in own.iter().zip([false, false, true]) {
        let found = residue.iter().find(|one| one.inode == own.inode);
        let listed = look.sockets.iter().any(|one| one.inode == Some(own.inode));
        ensure!(listed == stuck, "{own:?}: {:#?}", look.sockets);
        ensure!(found.is_some() != stuck, "{own:?}: {residue:#?}");
        let Some(found) = found else { continue };
        ensure!(
            found.died_by.as_deref() == Some("reset") && found.was_close_wait == Some(true),
            "{found:#?}"
        );
        ensure!(found.remote.socket_addr() == Some(address), "{found:#?}");
    }
    Ok(())
}
