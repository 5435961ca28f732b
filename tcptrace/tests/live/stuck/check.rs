//! Checks a snapshot against the truth.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use anyhow::{Context, Result, ensure};
use testbed::{Role, Truth, clock::slowness};

use crate::{
    harness::tolerance::{at_least, not_above, short_ns, within},
    run::snapshot::{Group, Holder, Snapshot, Socket},
};

/// What must be known about a socket's age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// It entered while the tool was watching.
    Exact,
    /// It was there before.
    AtLeast,
    /// It was there before, and the tool has looked often enough for a close bound. A look may be delayed at the
    /// wrong moment while the machine is busy, but the tool keeps a bound until it finds a better one.
    AtLeastClosely,
}

/// How much an age that is "at least" may be below the truth after many looks. The kernel keeps this time in ticks
/// of its timer. On an emulated machine this limit is multiplied by the slowness: timer interrupts come late there,
/// and the dump that contains the age takes longer.
const CLOSELY_NS: u64 = 10_000_000;

/// The same on this machine.
pub fn closely_ns() -> u64 {
    CLOSELY_NS * u64::from(slowness())
}

/// Checks that a snapshot shows these sockets and no others, and that everything about them is right.
pub fn exactly(snapshot: &Snapshot, truths: &[(&[Truth], Age)]) -> Result<()> {
    let mut shown: BTreeMap<(SocketAddr, SocketAddr), &Socket> = BTreeMap::new();
    for socket in &snapshot.sockets {
        let tuple = tuple(socket).context("a socket without ports")?;
        ensure!(
            shown.insert(tuple, socket).is_none(),
            "listed twice: {socket:?}"
        );
    }
    let mut excused = 0;
    for (truths, age) in truths {
        for truth in *truths {
            let socket = shown.remove(&(truth.local, truth.remote));
            let socket = socket.with_context(|| format!("not seen: {truth:?}"))?;
            // A skipped run hides that a socket entered. The tool reports the skipped run and finds the
            // socket by listing.
            let listed = *age == Age::Exact && socket.age == "at_least";
            excused += u64::from(listed);
            let right = socket_right(socket, truth)
                .and_then(|()| age_right(snapshot, socket, truth, *age, listed));
            right.with_context(|| format!("shown:\n{socket:?}\ntrue:\n{truth:?}"))?;
        }
    }
    let skipped = snapshot.tracing.recursion_misses.unwrap_or(0);
    ensure!(
        excused <= skipped,
        "{excused} ages are not exact, {skipped} runs skipped: {:?}",
        snapshot.tracing
    );
    ensure!(shown.is_empty(), "invented: {shown:#?}");
    let all: Vec<&Truth> = truths
        .iter()
        .flat_map(|(truths, _)| truths.iter())
        .collect();
    groups_right(snapshot, &all)
}

fn tuple(socket: &Socket) -> Option<(SocketAddr, SocketAddr)> {
    Some((socket.local.socket_addr()?, socket.remote.socket_addr()?))
}

fn socket_right(socket: &Socket, truth: &Truth) -> Result<()> {
    // Only what something has asked for its cookie has one.
    ensure!(
        truth.cookie.is_none() || socket.cookie == truth.cookie,
        "wrong cookie"
    );
    // "What is not known is null, never 0": without a descriptor the socket has no inode.
    ensure!(socket.inode.unwrap_or(0) == truth.inode, "wrong inode");
    let family = if truth.local.is_ipv4() {
        "ipv4"
    } else {
        "ipv6"
    };
    ensure!(socket.family == family, "wrong family, not {family}");
    let role = if truth.role == Role::Client {
        "client"
    } else {
        "server"
    };
    ensure!(socket.role == role, "wrong role, not {role}");
    ensure!(socket.accepted == Some(truth.accepted), "wrong accepted");
    holders_right(socket, truth)?;
    ensure!(
        truth.accepted || socket.listener.as_ref().and_then(|l| l.pid) == truth.listener,
        "wrong listener"
    );
    Ok(())
}

/// Every descriptor, and nobody who has none. A socket on its way in a message is in no table of descriptors: it is
/// never said to be nobody's.
fn holders_right(socket: &Socket, truth: &Truth) -> Result<()> {
    let holders = socket.holders.as_deref();
    if truth.holders.is_empty() && truth.inode != 0 {
        let in_flight =
            |holder: &Holder| holder.via == "in_flight" && Some(holder.pid) == truth.receiver;
        ensure!(
            holders.is_none_or(|all| !all.is_empty() && all.iter().all(in_flight)),
            "no process has a descriptor"
        );
        return Ok(());
    }
    let holders = holders.context("no holders")?;
    let found: BTreeSet<_> = holders.iter().filter_map(Holder::descriptor).collect();
    ensure!(found.len() == holders.len(), "a holder is listed twice");
    ensure!(found == truth.holders, "wrong holders");
    Ok(())
}

fn age_right(
    snapshot: &Snapshot,
    socket: &Socket,
    truth: &Truth,
    age: Age,
    listed: bool,
) -> Result<()> {
    let (now, entered) = (snapshot.monotonic_ns, truth.entered());
    let true_ns = now.saturating_sub(entered.after_ns);
    ensure!(
        socket.age_at_most_ns.is_none_or(|ns| ns >= true_ns),
        "it is older than it can be: {true_ns} ns"
    );
    if listed {
        return not_above(now, socket.age_ns, entered);
    }
    let word = if age == Age::Exact {
        "exact"
    } else {
        "at_least"
    };
    ensure!(
        socket.age == word,
        "the age is not {word}; {:?}",
        snapshot.tracing
    );
    match age {
        Age::Exact => {
            let since = now.checked_sub(socket.age_ns);
            within(since.context("the age is longer than the uptime")?, entered)
        }
        Age::AtLeast => at_least(now, socket.age_ns, entered, short_ns()),
        Age::AtLeastClosely => at_least(now, socket.age_ns, entered, closely_ns()),
    }
}

/// Whether a holder of the socket is shown, of one that only a message has.
fn shows_holders(snapshot: &Snapshot, truth: &Truth) -> bool {
    let mut sockets = snapshot.sockets.iter();
    let found = sockets.find(|socket| socket.inode == Some(truth.inode));
    found.is_some_and(|socket| socket.holders.is_some())
}

/// Computes the groups from the truth: by the first holder (or listener), and by the remote if this end connected,
/// otherwise by the local port. A v4-mapped address is the IPv4 address.
fn groups_right(snapshot: &Snapshot, truths: &[&Truth]) -> Result<()> {
    type Key = (Option<u32>, Option<(IpAddr, u16)>, Option<u16>);
    let mut expected: BTreeMap<Key, usize> = BTreeMap::new();
    for truth in truths {
        let owner = truth
            .holders
            .first()
            .map(|(pid, _)| *pid)
            .or(truth.listener)
            .or(truth.receiver.filter(|_| shows_holders(snapshot, truth)));
        let (remote, port) = match truth.role {
            Role::Client => (
                Some((truth.remote.ip().to_canonical(), truth.remote.port())),
                None,
            ),
            Role::Server => (None, Some(truth.local.port())),
        };
        *expected.entry((owner, remote, port)).or_default() += 1;
    }
    let key = |group: &Group| {
        let remote = group.remote.and_then(|end| Some((end.address, end.port?)));
        (group.pid, remote, group.local.map(|local| local.port))
    };
    let found: BTreeMap<_, _> = snapshot
        .groups
        .iter()
        .map(|group| (key(group), group.sockets))
        .collect();
    ensure!(
        found.len() == snapshot.groups.len(),
        "a group is listed twice: {:#?}",
        snapshot.groups
    );
    ensure!(
        found == expected,
        "wrong groups:\n{found:#?}\nnot\n{expected:#?}"
    );
    let oldest = snapshot.sockets.iter().map(|socket| socket.age_ns).max();
    ensure!(
        snapshot.groups.iter().map(|group| group.oldest_ns).max() == oldest,
        "wrong oldest"
    );
    ensure!(
        snapshot
            .groups
            .iter()
            .all(|group| group.median_ns <= group.oldest_ns),
        "the median is above the oldest age"
    );
    Ok(())
}
