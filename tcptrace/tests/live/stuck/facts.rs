//! What the kernel knows of a socket beside its state: what moved when, and what is due.

use std::{thread::sleep, time::Duration};

use anyhow::{Context, Result, ensure};
use testbed::{
    Family, Order, Side, Span, Stage, Truth,
    clock::{monotonic_ns, slowness},
};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
    },
    run::{snapshot::Socket, tool::Tool},
};

/// How far a time may be off that the kernel counts in ticks of its timer, which come late on an emulated machine.
const TICKS_NS: u64 = 20_000_000;
/// For how long nothing moves before the peer closes.
const GAP: Duration = Duration::from_millis(700);
const KEEPALIVE_S: u32 = 60;

pub fn add(cases: &mut Cases) {
    cases.add_in(BOTH, "stuck_facts_of_a_socket", facts_of_a_socket);
}

/// A connection over which both ends sent something, and whose peer closed it [`GAP`] later.
struct Quiet {
    truth: Truth,
    /// When the client sent.
    received: Span,
    /// When the server answered.
    sent: Span,
    /// When keepalive was switched on, at the earliest when the connection was made.
    kept: Span,
}

fn quiet(stage: &mut Stage) -> Result<Quiet> {
    let mut before_ns = monotonic_ns();
    let mut since = || {
        let after_ns = monotonic_ns();
        let span = Span {
            before_ns,
            after_ns,
        };
        before_ns = after_ns;
        span
    };
    let pairs = stage.connect(Family::Ipv4, 1)?;
    let (client, server) = (pairs[0].client.fd, pairs[0].server.fd);
    stage.server.tell(&Order::Keepalive {
        fd: server,
        idle: KEEPALIVE_S,
        interval: KEEPALIVE_S,
        count: 5,
    })?;
    let kept = since();
    stage.client.tell(&Order::Send {
        fd: client,
        bytes: 1234,
    })?;
    let received = since();
    sleep(GAP);
    since();
    stage.server.tell(&Order::Send {
        fd: server,
        bytes: 500,
    })?;
    let sent = since();
    sleep(GAP);
    let truth = stage.leak(&pairs, Side::Server)?.remove(0);
    Ok(Quiet {
        truth,
        received,
        sent,
        kept,
    })
}

/// Both ways to find sockets tell the same, and the hook what was so at the transition.
fn facts_of_a_socket(place: Place) -> Result<()> {
    for walk in ["auto", "proc"] {
        let mut stage = Stage::new()?;
        let mut tool = Tool::watch(place, stage.netns().inode(), &["--walk", walk])?;
        tool.fresh()?;
        let quiet = quiet(&mut stage)?;
        let snapshot = tool.fresh()?;
        let socket = snapshot.sockets.first().context("not seen")?;
        facts_right(socket, snapshot.monotonic_ns, &quiet)
            .and_then(|()| entry_right(socket, &quiet))
            .with_context(|| format!("--walk {walk} shows:\n{socket:#?}"))?;
        tool.end()?;
    }
    Ok(())
}

fn ticks_ns() -> u64 {
    TICKS_NS * u64::from(slowness())
}

fn near(what: &str, moment_ns: Option<u64>, span: Span) -> Result<()> {
    let moment_ns = moment_ns.with_context(|| format!("{what}: unknown"))?;
    let early = span.before_ns.saturating_sub(moment_ns + ticks_ns());
    let late = moment_ns.saturating_sub(span.after_ns + ticks_ns());
    ensure!(
        early == 0 && late == 0,
        "{what}: {early} ns too early, {late} ns too late"
    );
    Ok(())
}

fn facts_right(socket: &Socket, now_ns: u64, quiet: &Quiet) -> Result<()> {
    let received = socket.last_data_received_ns;
    near("data received", received, quiet.received)?;
    near("data sent", socket.last_data_sent_ns, quiet.sent)?;
    let due = socket
        .keepalive_due_ns
        .map(|ns| now_ns.saturating_add_signed(ns));
    let idle_ns = u64::from(KEEPALIVE_S) * 1_000_000_000;
    let expected = Span {
        before_ns: quiet.kept.before_ns + idle_ns,
        after_ns: quiet.kept.after_ns + idle_ns,
    };
    near("keepalive", due, expected)?;
    let segments = (socket.data_segments_in, socket.data_segments_out);
    ensure!(segments == (Some(1), Some(1)), "segments: {segments:?}");
    ensure!(socket.backoff == Some(0), "no timer was doubled");
    // The FIN counts as one.
    let bytes = (socket.bytes_received, socket.bytes_acked);
    ensure!(bytes == (Some(1235), Some(500)), "bytes: {bytes:?}");
    Ok(())
}

fn entry_right(socket: &Socket, quiet: &Quiet) -> Result<()> {
    if socket.age != "exact" {
        // The kernel skipped the program, as it may.
        ensure!(socket.at_entry.is_none(), "nobody saw it enter");
        return Ok(());
    }
    let entry = socket.at_entry.context("it was seen to enter")?;
    let entered = quiet.truth.entered();
    // From what was true then to what is shown: a time too long is a moment too early.
    let gap = |what, since_ns, moved: Span| {
        let span = Span {
            before_ns: entered.before_ns - moved.after_ns,
            after_ns: entered.after_ns - moved.before_ns,
        };
        near(what, Some(since_ns), span)
    };
    gap("without data", entry.since_data_ns, quiet.received)?;
    gap("without sending", entry.since_sent_ns, quiet.sent)?;
    let bytes = (entry.bytes_received, entry.bytes_acked, entry.unread);
    ensure!(bytes == (1235, 500, 1235), "at its entry: {bytes:?}");
    Ok(())
}
