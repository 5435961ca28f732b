//! The ways in which a process gets a connection, each as a history that a log must show.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Result, bail, ensure};
use testbed::{
    Actor, Family, History, How, Order, Reply, Side, Socket, Whose,
    state::{CLOSE, CLOSE_WAIT},
    timed,
};

use crate::truth::scene::{End, Scene, listen};

/// All cases except [`PROCESSES`].
pub const ALL: &[fn(&mut Scene) -> Result<()>] = &[
    plain,
    in_threads,
    pre_forked,
    in_child,
    bound_non_blocking,
    refused,
    again,
    from_old_listener,
    inherited,
    accepted_elsewhere,
];

/// The cases that need their own processes.
pub const PROCESSES: &[fn(&mut Scene) -> Result<()>] = &[
    gone_at_once,
    pid_again,
    in_pid_namespace,
    from_another_namespace,
    before_exec,
];

fn plain(scene: &mut Scene) -> Result<()> {
    let ends = scene.connection("plain")?;
    scene.orderly(ends)
}

fn in_threads(scene: &mut Scene) -> Result<()> {
    let (address, fd) = (scene.address(), scene.listener.fd);
    let (connect, accept) = (
        Order::Connect { address, count: 1 },
        Order::Accept { fd, count: 1 },
    );
    let (((tid, client), (accepter, server)), span) = timed(|| {
        let client = scene.stage.client.thread(connect)?;
        Ok((client, scene.stage.server.thread(accept)?))
    })?;
    let connects = Whose::of(scene.stage.client.pid(), How::Connect)?.thread(tid);
    let accepts = Whose::of(scene.stage.server.pid(), How::Accept)?.thread(accepter);
    let ends = scene.ends("in threads", (client, connects), (server, accepts), span)?;
    scene.orderly(ends)
}

/// Workers that were started after the server began to listen, and that accept themselves.
fn pre_forked(scene: &mut Scene) -> Result<()> {
    let fd = scene.listener.fd;
    for name in ["worker-one", "worker-two"] {
        let pid = scene.stage.server.worker(name, &[fd])?;
        let accept = Order::Accept { fd, count: 1 }.by(pid);
        let ((client, server), span) =
            timed(|| Ok((scene.connect()?, scene.stage.server.socket(&accept)?)))?;
        let accepter = Whose::of(pid, How::Accept)?;
        let [client, server] = scene.ends("pre-forked", client, (server, accepter), span)?;
        scene.orderly([server, client])?;
        scene.stage.server.tell(&Order::EndChild { pid })?;
    }
    Ok(())
}

fn in_child(scene: &mut Scene) -> Result<()> {
    let address = scene.address();
    let pid = scene.stage.client.worker("connector", &[])?;
    let connect = Order::Connect { address, count: 1 }.by(pid);
    let ((client, server), span) =
        timed(|| Ok((scene.stage.client.socket(&connect)?, scene.accept()?)))?;
    let connector = Whose::of(pid, How::Connect)?;
    let ends = scene.ends("in a child", (client, connector), server, span)?;
    scene.orderly(ends)?;
    scene.stage.client.tell(&Order::EndChild { pid })?;
    Ok(())
}

/// A socket of the client that is not connected yet.
fn open(actor: &mut Actor, scene_address: SocketAddr, bind: bool) -> Result<Socket> {
    let local = SocketAddr::new(scene_address.ip(), 0);
    actor.socket(&Order::Open { local, bind })
}

fn bound_non_blocking(scene: &mut Scene) -> Result<()> {
    let address = scene.address();
    let connector = Whose::of(scene.stage.client.pid(), How::Connect)?;
    let bound = open(&mut scene.stage.client, address, true)?;
    let dial = Order::Dial {
        fd: bound.fd,
        address,
        blocking: false,
    };
    let ((client, server), span) =
        timed(|| Ok((scene.stage.client.socket(&dial)?, scene.accept()?)))?;
    ensure!(client.local == bound.local, "it has another port");
    let (server, accepter) = server;
    let ends = (client, connector.clone());
    let [mut client, server] = scene.ends("bound", ends, (server, accepter), span)?;
    let history = History::client("bound, client", &client.socket, &connector);
    client.history = history.called("SYN_SENT", span, connector.pid);
    client.history = client.history.then("ESTABLISHED", span);
    scene.orderly([client, server])
}

/// No process listens on the port.
fn refused(scene: &mut Scene) -> Result<()> {
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 1);
    let connector = Whose::of(scene.stage.client.pid(), How::Connect)?;
    // Both stay open: otherwise the second may get the port of the first.
    let mut fds = Vec::new();
    for blocking in [true, false] {
        let mut socket = open(&mut scene.stage.client, address, true)?;
        let fd = socket.fd;
        let dial = Order::Dial {
            fd,
            address,
            blocking,
        };
        let (reply, span) = timed(|| scene.stage.client.tell(&dial))?;
        let Reply::Error(_) = reply else {
            bail!("it was not refused: {reply:?}");
        };
        socket.remote = Some(address);
        let history = History::client("refused", &socket, &connector);
        let history = history.called("SYN_SENT", span, connector.pid);
        scene.told.push(history.then("CLOSE", span));
        fds.push(fd);
    }
    scene.stage.client.tell(&Order::Close { fds })?;
    Ok(())
}

/// One socket that is connected again, to another address.
fn again(scene: &mut Scene) -> Result<()> {
    let connector = Whose::of(scene.stage.client.pid(), How::Connect)?;
    let address = scene.address();
    let socket = open(&mut scene.stage.client, address, false)?;
    let fd = socket.fd;
    let dial = |address| Order::Dial {
        fd,
        address,
        blocking: true,
    };
    let first = dial(scene.address());
    let ((client, server), span) =
        timed(|| Ok((scene.stage.client.socket(&first)?, scene.accept()?)))?;
    ensure!(client.cookie == socket.cookie, "another socket");
    let ends = (client, connector.clone());
    let [client, server] = scene.ends("again, first", ends, server, span)?;
    let ((), span) = timed(|| {
        scene.stage.client.tell(&Order::Disconnect { fd })?;
        scene.until(&server, CLOSE)
    })?;
    let history = client.history.perhaps("CLOSE", span, connector.pid);
    let fds = vec![server.socket.fd];
    scene.tell(&server, Order::Close { fds })?;
    scene.told.push(server.history.then("CLOSE", span));

    let (other, listener) = listen(&mut scene.stage, Family::Ipv4)?;
    let (fd, count) = (other.fd, 1);
    let second = dial(other.local);
    let ((client, server), span) = timed(|| {
        let client = scene.stage.client.socket(&second)?;
        Ok((
            client,
            scene.stage.server.socket(&Order::Accept { fd, count })?,
        ))
    })?;
    let accepter = Whose::of(scene.stage.server.pid(), How::Accept)?;
    let history = history.moved(&client).connected(span);
    let ends = (client, connector);
    let [mut client, server] = scene.ends("again, second", ends, (server, accepter), span)?;
    client.history = history;
    scene.orderly([client, server])?;
    let fds = vec![fd];
    let ((), span) = timed(|| scene.stage.server.tell(&Order::Close { fds }).map(drop))?;
    let pid = scene.stage.server.pid();
    scene.told.push(listener.perhaps("CLOSE", span, pid));
    Ok(())
}

/// A connection of a listener from before the tool began. A log may not know its owner.
fn from_old_listener(scene: &mut Scene) -> Result<()> {
    let ((mut clients, mut servers), span) = timed(|| {
        let clients = scene.stage.queue(Family::Mapped, 1)?;
        Ok((clients, scene.stage.accept(Family::Mapped, 1)?))
    })?;
    let (Some(client), Some(server)) = (clients.pop(), servers.pop()) else {
        bail!("no connection");
    };
    let connector = Whose::of(scene.stage.client.pid(), How::Connect)?;
    let accepter = Whose::of(scene.stage.server.pid(), How::Accept)?;
    let history = History::server("old listener, server", &server, &scene.listens).doubtful();
    let history = history.then("ESTABLISHED", span).owned(&accepter);
    let ends = (client, connector);
    let [client, mut server] = scene.ends("old listener", ends, (server, accepter), span)?;
    server.history = history;
    scene.orderly([client, server])
}

/// A child that inherited the sockets closes them: it is the caller, but not the owner.
fn inherited(scene: &mut Scene) -> Result<()> {
    let [mut client, mut server] = scene.connection("inherited")?;
    let mut pids = Vec::new();
    for end in [&mut client, &mut server] {
        let fd = end.socket.fd;
        let actor = scene.stage.actor(end.side);
        let pid = actor.worker("heir", &[fd])?;
        actor.tell(&Order::Close { fds: vec![fd] })?;
        end.by = Some(pid);
        pids.push((end.side, pid));
    }
    scene.orderly([server, client])?;
    for (side, pid) in pids {
        scene.stage.actor(side).tell(&Order::EndChild { pid })?;
    }
    Ok(())
}

/// The server passes its listener to the client, which accepts its own connection.
fn accepted_elsewhere(scene: &mut Scene) -> Result<()> {
    let name = format!("listener-{}", scene.listener.inode);
    let (stage, fd) = (&mut scene.stage, scene.listener.fd);
    stage.client.tell(&Order::Mailbox { name: name.clone() })?;
    stage.server.tell(&Order::Pass { fd, name })?;
    let passed = stage.client.socket(&Order::Take)?;
    let (fd, count) = (passed.fd, 1);
    let ((client, server), span) = timed(|| {
        let client = scene.connect()?;
        Ok((
            client,
            scene.stage.client.socket(&Order::Accept { fd, count })?,
        ))
    })?;
    let accepter = Whose::of(scene.stage.client.pid(), How::Accept)?;
    let [client, mut server] = scene.ends("passed", client, (server, accepter), span)?;
    (server.side, server.by) = (Side::Client, None);
    scene.orderly([client, server])?;
    scene.stage.client.tell(&Order::Close { fds: vec![fd] })?;
    Ok(())
}

/// A process that is gone before the tool can look at it.
fn gone_at_once(scene: &mut Scene) -> Result<()> {
    let address = scene.address();
    let mut brief = Actor::start(scene.stage.netns(), "brief")?;
    let connector = Whose::of(brief.pid(), How::Connect)?;
    let (client, span) = timed(|| {
        let client = brief.socket(&Order::ConnectAndEnd { address })?;
        // This waits for the end of the process.
        brief.kill();
        Ok(client)
    })?;
    let client_history = History::client("gone at once, client", &client, &connector);
    let client_history = client_history.connected(span);
    let ((server, accepter), accepted) = timed(|| {
        let (server, accepter) = scene.accept()?;
        let (fd, state) = (server.fd, CLOSE_WAIT);
        scene.stage.server.tell(&Order::Await { fd, state })?;
        Ok((server, accepter))
    })?;
    let span = span.to(accepted);
    let history = History::server("gone at once, server", &server, &scene.listens);
    let history = history.then("ESTABLISHED", span).then("CLOSE_WAIT", span);
    let history = history.owned(&accepter);
    let fds = vec![server.fd];
    let ((), end) = timed(|| {
        scene.stage.server.tell(&Order::Close { fds })?;
        scene.gone(&server)?;
        scene.gone(&client)
    })?;
    let both = span.to(end);
    let client_history = client_history.perhaps("FIN_WAIT1", span, connector.pid);
    let client_history = client_history.then("FIN_WAIT2", both);
    let client_history = client_history.perhaps("CLOSE", both, connector.pid);
    let history = history.called("LAST_ACK", end, accepter.pid);
    scene
        .told
        .extend([client_history, history.then("CLOSE", end)]);
    Ok(())
}

/// An accepted connection of an extra actor.
fn connection_of(scene: &mut Scene, case: &str, actor: &mut Actor) -> Result<[End; 2]> {
    let address = scene.address();
    let order = Order::Connect { address, count: 1 };
    let ((client, server), span) = timed(|| Ok((actor.socket(&order)?, scene.accept()?)))?;
    let connector = Whose::of(actor.pid(), How::Connect)?;
    scene.ends(case, (client, connector), server, span)
}

/// Closes a connection: first the end of an extra actor, which is not one of the stage's.
fn close_of(scene: &mut Scene, [client, server]: [End; 2], actor: &mut Actor) -> Result<()> {
    let fds = vec![client.socket.fd];
    let ((), one) = timed(|| {
        actor.tell(&Order::Close { fds })?;
        scene.until(&server, CLOSE_WAIT)
    })?;
    let fds = vec![server.socket.fd];
    let ((), two) = timed(|| {
        scene.tell(&server, Order::Close { fds })?;
        scene.gone(&server.socket)?;
        scene.gone(&client.socket)
    })?;
    let (both, pid, other) = (one.to(two), actor.pid(), scene.pid(&server));
    let client = client.history.called("FIN_WAIT1", one, pid);
    let client = client.then("FIN_WAIT2", both).perhaps("CLOSE", both, pid);
    let server = server.history.then("CLOSE_WAIT", one);
    let server = server.called("LAST_ACK", two, other).then("CLOSE", two);
    scene.told.extend([client, server]);
    Ok(())
}

/// The process that opened a socket is gone, and another process has its PID while the socket still exists.
fn pid_again(scene: &mut Scene) -> Result<()> {
    let mut first = Actor::start(scene.stage.netns(), "pid-first")?;
    let ends = connection_of(scene, "number given again, first", &mut first)?;
    let name = format!("given-{}", ends[0].socket.inode);
    scene
        .stage
        .client
        .tell(&Order::Mailbox { name: name.clone() })?;
    let fd = ends[0].socket.fd;
    first.tell(&Order::Pass { fd, name })?;
    let taken = scene.stage.client.socket(&Order::Take)?;
    let pid = first.pid();
    drop(first);
    let [mut client, server] = ends;
    (client.by, client.socket.fd) = (None, taken.fd);
    let Some(mut second) = Actor::start_as(scene.stage.netns(), "pid-second", pid)? else {
        println!("no process got the PID {pid} again: only the passing of the socket is tested");
        return scene.orderly([client, server]);
    };
    let others = connection_of(scene, "number given again, second", &mut second)?;
    close_of(scene, others, &mut second)?;
    scene.orderly([client, server])
}

fn in_pid_namespace(scene: &mut Scene) -> Result<()> {
    let address = scene.address();
    let mut outside = Actor::start(scene.stage.netns(), "outside")?;
    outside.tell(&Order::UnsharePids)?;
    let pid = outside.worker("inside", &[])?;
    let order = Order::Connect { address, count: 1 }.by(pid);
    let ((client, server), span) = timed(|| Ok((outside.socket(&order)?, scene.accept()?)))?;
    let connector = Whose::of(pid, How::Connect)?;
    let ends = scene.ends("in a PID namespace", (client, connector), server, span)?;
    let [client, server] = ends;
    let fds = vec![server.socket.fd];
    let pid_of_server = scene.pid(&server);
    let ((), one) = timed(|| {
        scene.tell(&server, Order::Close { fds })?;
        let (fd, state) = (client.socket.fd, CLOSE_WAIT);
        outside.tell(&Order::Await { fd, state }.by(pid)).map(drop)
    })?;
    let fds = vec![client.socket.fd];
    let ((), two) = timed(|| {
        outside.tell(&Order::Close { fds }.by(pid))?;
        scene.gone(&client.socket)?;
        scene.gone(&server.socket)
    })?;
    let both = one.to(two);
    let history = server.history.called("FIN_WAIT1", one, pid_of_server);
    let history = history.then("FIN_WAIT2", both);
    scene
        .told
        .push(history.perhaps("CLOSE", both, pid_of_server));
    let history = client.history.then("CLOSE_WAIT", one);
    let history = history.called("LAST_ACK", two, pid).then("CLOSE", two);
    scene.told.push(history);
    Ok(())
}

/// The process is in another network namespace than its socket.
fn from_another_namespace(scene: &mut Scene) -> Result<()> {
    let address = scene.address();
    let mut emigrant = Actor::start(scene.stage.netns(), "emigrant")?;
    let fd = open(&mut emigrant, address, false)?.fd;
    emigrant.tell(&Order::LeaveNamespace)?;
    let dial = Order::Dial {
        fd,
        address,
        blocking: true,
    };
    let ((client, server), span) = timed(|| Ok((emigrant.socket(&dial)?, scene.accept()?)))?;
    let connector = Whose::of(emigrant.pid(), How::Connect)?;
    let ends = (client, connector);
    let ends = scene.ends("from another namespace", ends, server, span)?;
    close_of(scene, ends, &mut emigrant)
}

/// The process becomes another program, with another name and the same PID.
fn before_exec(scene: &mut Scene) -> Result<()> {
    let mut actor = Actor::start(scene.stage.netns(), "caterpillar")?;
    let ends = connection_of(scene, "before exec", &mut actor)?;
    let (comm, fds) = ("butterfly".into(), vec![ends[0].socket.fd]);
    actor.tell(&Order::Become { comm, fds })?;
    close_of(scene, ends, &mut actor)
}
