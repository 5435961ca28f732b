//! Asking `sock_diag` in several namespaces.

use std::{collections::HashSet, io};

use tcptrace_common::TcpState;

use crate::{
    model::{
        caveat::Caveat,
        socket::{Endpoint, Family},
        stuck::look::{Coverage, Listed, Listening},
    },
    source::{
        diag::sock_diag::{SockDiag, has_tcp_sockets, mptcp_in_use},
        machine::netns::{self, Namespace, Namespaces},
    },
};

/// What to look for.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The watched state.
    pub state: TcpState,
    /// Sockets that have been in it for less than this, in ns, are counted but not examined.
    pub older_than_ns: u64,
    /// The only namespace to look at.
    pub netns: Option<u32>,
    /// The only family to look at.
    pub family: Option<Family>,
}

/// What `sock_diag` answered.
#[derive(Debug, Default)]
pub struct Answers {
    /// Sockets in the watched state.
    pub listed: Vec<Listed>,
    /// What the kernel keeps of closed ones.
    pub remainders: Vec<Listed>,
    /// Listeners in their namespaces.
    pub listening: Vec<Listening>,
    /// Which namespaces were asked.
    pub coverage: Coverage,
    /// Which namespaces could not be asked.
    pub caveats: Vec<Caveat>,
}

/// All sockets in one of the states, in every namespace in scope.
#[must_use]
pub fn in_states(scope: &Scope, states: &[TcpState], namespaces: &Namespaces) -> Answers {
    dump_by(scope, namespaces, |diag| {
        let mut found = match states {
            [only] => diag.in_state(*only, scope.family),
            _ => diag.in_states(states, scope.family),
        }?;
        let mut not_listed = None;
        let count = mptcp_in_use().unwrap_or(None);
        if count != Some(0) {
            match diag.mptcp_in_states(&TcpState::ALL, scope.family) {
                Ok(whole) => add_mptcp(&mut found, whole, states),
                Err(error) => not_listed = Some((count, error)),
            }
        }
        Ok((found, not_listed))
    })
}

/// The sockets in a namespace; and how many MPTCP connections and listeners it has that could not be
/// listed, for that reason.
type Dump = (Vec<Listed>, Option<(Option<u64>, io::Error)>);

/// Adds the connections in one of the `states`, and takes out their subflows: these have the addresses
/// of the connection, or the inode.
fn add_mptcp(found: &mut Vec<Listed>, mut whole: Vec<Listed>, states: &[TcpState]) {
    let subflows = Subflows::of(&whole);
    found.retain(|socket| !subflows.has(socket));
    whole.retain(|socket| states.contains(&socket.state));
    found.append(&mut whole);
}

/// What subflows have in common with their connection: `sock_diag` says what they are only with
/// `CAP_NET_ADMIN`.
#[derive(Debug, Default)]
pub struct Subflows {
    inodes: HashSet<u32>,
    places: HashSet<(u32, Endpoint, Endpoint)>,
}

impl Subflows {
    /// Those of these connections.
    #[must_use]
    pub fn of(connections: &[Listed]) -> Self {
        let mut subflows = Self::default();
        for connection in connections {
            subflows.add(connection);
        }
        subflows
    }

    /// Adds those of a connection.
    pub fn add(&mut self, connection: &Listed) {
        // One that nobody has accepted has no inode.
        self.inodes
            .extend(Some(connection.details.inode).filter(|inode| *inode != 0));
        self.places
            .insert((connection.netns, connection.local, connection.remote));
    }

    /// Whether a socket is one.
    #[must_use]
    pub fn has(&self, socket: &Listed) -> bool {
        let place = (socket.netns, socket.local, socket.remote);
        self.inodes.contains(&socket.details.inode) || self.places.contains(&place)
    }
}

/// All sockets, whatever their state, in every namespace in scope.
#[must_use]
pub fn everything(scope: &Scope, namespaces: &Namespaces) -> Answers {
    let states = TcpState::ALL.into_iter();
    let states: Vec<_> = states
        .filter(|state| !matches!(state, TcpState::TimeWait | TcpState::NewSynRecv))
        .collect();
    in_states(scope, &states, namespaces)
}

fn dump_by(
    scope: &Scope,
    namespaces: &Namespaces,
    ask: impl Fn(&mut SockDiag) -> io::Result<Dump> + Sync,
) -> Answers {
    let mut answers = Answers::default();
    for (&inode, path) in &namespaces.paths {
        if scope.netns.is_some_and(|only| only != inode) {
            continue;
        }
        let path = path.clone();
        let result = netns::inside(&Namespace { inode, path }, || {
            if !has_tcp_sockets() {
                return Ok(Default::default());
            }
            let mut diag = SockDiag::open(inode)?;
            let dump = ask(&mut diag)?;
            let listening = if dump.0.is_empty() {
                Vec::new()
            } else {
                diag.listening()?
            };
            Ok((dump, listening))
        });
        if answers.take(inode, result) {
            answers.coverage.complete.insert(inode);
        }
    }
    // The only wanted namespace has been found.
    let found = |only| namespaces.paths.contains_key(&only);
    if !scope.netns.is_some_and(found) {
        answers.caveats.extend(namespaces.refusal());
    }
    answers
}

impl Answers {
    /// Adds a namespace's answer; returns whether there was a complete one. A namespace that is gone is
    /// not an error: its sockets are gone with it.
    fn take(&mut self, netns: u32, result: io::Result<(Dump, Vec<Listening>)>) -> bool {
        match result {
            Ok(((listed, not_listed), listening)) => {
                let is_remainder = |socket: &Listed| socket.details.remainder;
                let (remainders, listed): (Vec<_>, Vec<_>) =
                    listed.into_iter().partition(is_remainder);
                self.remainders.extend(remainders);
                self.listed.extend(listed);
                self.listening.extend(listening);
                if let Some((count, error)) = &not_listed {
                    self.caveats.push(Caveat::UnlistedMptcp {
                        netns,
                        count: *count,
                        error: error.to_string(),
                    });
                }
                return not_listed.is_none();
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let error = error.to_string();
                (self.caveats).push(Caveat::UnlistedNamespace { netns, error });
            }
        }
        false
    }
}
