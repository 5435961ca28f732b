//! The ways in which a connection ends, each as a history that a log must show.

use anyhow::Result;
use testbed::{
    Actor, Family, History, How, Order, Span, Whose,
    state::{CLOSE, CLOSE_WAIT, CLOSING, FIN_WAIT2},
    timed,
};

use crate::truth::scene::{End, Scene, listen};

/// All except the slow one.
pub const ALL: &[fn(&mut Scene) -> Result<()>] = &[
    client_first,
    server_first,
    reset_by_client,
    reset_by_server,
    at_once,
    never_accepted,
    accepted_late,
    both_halves,
    killed,
];

fn client_first(scene: &mut Scene) -> Result<()> {
    let ends = scene.connection("client first")?;
    scene.orderly(ends)
}

fn server_first(scene: &mut Scene) -> Result<()> {
    let [client, server] = scene.connection("server first")?;
    scene.orderly([server, client])
}

fn reset_by_client(scene: &mut Scene) -> Result<()> {
    let ends = scene.connection("reset by client")?;
    scene.reset(ends)
}

fn reset_by_server(scene: &mut Scene) -> Result<()> {
    let [client, server] = scene.connection("reset by server")?;
    scene.reset([server, client])
}

/// Both ends shut down before either receives the other's FIN.
fn at_once(scene: &mut Scene) -> Result<()> {
    let [client, server] = scene.connection("at once")?;
    let (fd, other) = (client.socket.fd, server.socket.fd);
    scene.tell(&client, Order::Deafen { fd })?;
    let (_, one) = timed(|| scene.tell(&server, Order::Shutdown { fd: other }))?;
    let ((), two) = timed(|| {
        scene.tell(&client, Order::Shutdown { fd })?;
        scene.until(&server, CLOSING)
    })?;
    // It receives the other's FIN when that is sent again.
    let ((), three) = timed(|| {
        scene.tell(&client, Order::Hear { fd })?;
        scene.until(&client, CLOSE)?;
        scene.until(&server, CLOSE)
    })?;
    let (pid, pid_of_server) = (scene.pid(&client), scene.pid(&server));
    let history = server.history.called("FIN_WAIT1", one, pid_of_server);
    scene
        .told
        .push(history.then("CLOSING", two).then("CLOSE", three));
    let history = client.history.called("FIN_WAIT1", two, pid);
    scene
        .told
        .push(history.then("FIN_WAIT2", three).then("CLOSE", three));
    scene.stage.client.tell(&Order::Close { fds: vec![fd] })?;
    scene
        .stage
        .server
        .tell(&Order::Close { fds: vec![other] })?;
    Ok(())
}

/// The listener closes while a connection waits to be accepted.
fn never_accepted(scene: &mut Scene) -> Result<()> {
    let (listener, listening) = listen(&mut scene.stage, Family::Ipv6)?;
    let (address, count) = (listener.local, 1);
    let order = Order::Connect { address, count };
    let (client, span) = timed(|| scene.stage.client.socket(&order))?;
    let (fd, state, fds) = (client.fd, CLOSE, vec![listener.fd]);
    let ((), end) = timed(|| {
        scene.stage.server.tell(&Order::Close { fds })?;
        let order = Order::Await { fd, state };
        scene.stage.client.tell(&order).map(drop)
    })?;
    let pid = scene.listens.pid;
    let connector = Whose::of(scene.stage.client.pid(), How::Connect)?;
    let history = History::client("never accepted, client", &client, &connector);
    let queued = History::unaccepted("never accepted, server", &client, address, &scene.listens);
    scene.told.extend([
        listening.perhaps("CLOSE", end, pid),
        history.connected(span).then("CLOSE", end),
        queued
            .then("ESTABLISHED", span.to(end))
            .perhaps("CLOSE", end, pid),
    ]);
    scene.stage.client.tell(&Order::Close { fds: vec![fd] })?;
    Ok(())
}

/// The client closes before the server accepts.
fn accepted_late(scene: &mut Scene) -> Result<()> {
    let ((client, connector), span) = timed(|| scene.connect())?;
    let fds = vec![client.fd];
    let ((server, accepter), one) = timed(|| {
        scene.stage.client.tell(&Order::Close { fds })?;
        let (server, accepter) = scene.accept()?;
        let (fd, state) = (server.fd, CLOSE_WAIT);
        scene.stage.server.tell(&Order::Await { fd, state })?;
        Ok((server, accepter))
    })?;
    let fds = vec![server.fd];
    let ((), two) = timed(|| {
        scene.stage.server.tell(&Order::Close { fds })?;
        scene.gone(&server)?;
        scene.gone(&client)
    })?;
    let both = one.to(two);
    let history = History::client("accepted late, client", &client, &connector);
    let history = history
        .connected(span)
        .called("FIN_WAIT1", one, connector.pid);
    let history = history.then("FIN_WAIT2", both);
    scene
        .told
        .push(history.perhaps("CLOSE", both, connector.pid));
    let history = History::server("accepted late, server", &server, &scene.listens);
    let history = history.then("ESTABLISHED", span.to(one));
    let history = history.then("CLOSE_WAIT", one).owned(&accepter);
    let history = history.called("LAST_ACK", two, accepter.pid);
    scene.told.push(history.then("CLOSE", two));
    Ok(())
}

/// A shutdown of the receiving side is no transition. A shutdown of both sides is one.
fn both_halves(scene: &mut Scene) -> Result<()> {
    let [client, server] = scene.connection("both halves")?;
    let (fd, other) = (client.socket.fd, server.socket.fd);
    let halve = |fd, both| Order::ShutdownToo { fd, both };
    scene.tell(&client, halve(fd, false))?;
    let ((), one) = timed(|| {
        scene.tell(&client, halve(fd, true))?;
        scene.until(&server, CLOSE_WAIT)
    })?;
    let ((), two) = timed(|| {
        scene.tell(&server, halve(other, true))?;
        scene.until(&server, CLOSE)?;
        scene.until(&client, CLOSE)
    })?;
    let (pid, pid_of_server) = (scene.pid(&client), scene.pid(&server));
    for end in [&client, &server] {
        let fds = vec![end.socket.fd];
        scene.tell(end, Order::Close { fds })?;
    }
    let history = client.history.called("FIN_WAIT1", one, pid);
    let history = history.then("FIN_WAIT2", one.to(two));
    scene.told.push(history.then("CLOSE", one.to(two)));
    let history = server.history.then("CLOSE_WAIT", one);
    let history = history.called("LAST_ACK", two, pid_of_server);
    scene.told.push(history.then("CLOSE", two));
    Ok(())
}

/// The process that has the client's end is killed.
fn killed(scene: &mut Scene) -> Result<()> {
    let mut victim = Actor::start(scene.stage.netns(), "victim")?;
    let address = scene.address();
    let order = Order::Connect { address, count: 1 };
    let ((client, server), span) = timed(|| Ok((victim.socket(&order)?, scene.accept()?)))?;
    let connector = Whose::of(victim.pid(), How::Connect)?;
    let pid = connector.pid;
    let [client, server] = scene.ends("killed", (client, connector), server, span)?;
    let ((), one) = timed(|| {
        victim.kill();
        scene.until(&server, CLOSE_WAIT)
    })?;
    let fds = vec![server.socket.fd];
    let ((), two) = timed(|| {
        scene.tell(&server, Order::Close { fds })?;
        scene.gone(&server.socket)?;
        scene.gone(&client.socket)
    })?;
    let both = one.to(two);
    let history = client.history.perhaps("FIN_WAIT1", one, pid);
    let history = history.then("FIN_WAIT2", both);
    scene.told.push(history.perhaps("CLOSE", both, pid));
    let pid = scene.pid(&server);
    let history = server.history.then("CLOSE_WAIT", one);
    let history = history.called("LAST_ACK", two, pid).then("CLOSE", two);
    scene.told.push(history);
    Ok(())
}

/// A connection that keepalive is about to end. It takes seconds, in which other cases run.
pub struct Dying {
    client: End,
    server: End,
    one: Span,
}

/// The client goes silent after its FIN.
pub fn begin_dying(scene: &mut Scene) -> Result<Dying> {
    let [client, server] = scene.connection("keepalive")?;
    let (fd, silent) = (server.socket.fd, client.socket.fd);
    let ((), one) = timed(|| {
        scene.tell(&client, Order::Shutdown { fd: silent })?;
        scene.until(&client, FIN_WAIT2)?;
        scene.until(&server, CLOSE_WAIT)
    })?;
    let order = Order::Keepalive {
        fd,
        idle: 1,
        interval: 1,
        count: 1,
    };
    scene.tell(&server, order)?;
    scene.tell(&client, Order::Deafen { fd: silent })?;
    Ok(Dying {
        client,
        server,
        one,
    })
}

/// Keepalive ends the server's end by a timer, in the context of any process.
pub fn end_dying(scene: &mut Scene, dying: Dying) -> Result<()> {
    let Dying {
        client,
        server,
        one,
    } = dying;
    let ((), end) = timed(|| scene.until(&server, CLOSE))?;
    let pid = scene.pid(&client);
    let fds = vec![client.socket.fd];
    let (_, closed) = timed(|| scene.tell(&client, Order::Close { fds }))?;
    let fds = vec![server.socket.fd];
    scene.tell(&server, Order::Close { fds })?;
    let history = client.history.called("FIN_WAIT1", one, pid);
    let history = history.then("FIN_WAIT2", one);
    scene.told.push(history.perhaps("CLOSE", closed, pid));
    let history = server.history.then("CLOSE_WAIT", one);
    // It may have ended before the test looked.
    scene.told.push(history.then("CLOSE", one.to(end)));
    Ok(())
}
