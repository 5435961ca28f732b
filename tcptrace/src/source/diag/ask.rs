//! Asking `sock_diag` in several namespaces.

use std::io;

use tcptrace_common::TcpState;

use crate::{
    model::{
        caveat::Caveat,
        socket::Family,
        stuck::look::{Coverage, Listed, Listening},
    },
    source::{
        diag::sock_diag::{SockDiag, has_tcp_sockets},
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
    dump_by(scope, namespaces, |diag| match states {
        [only] => diag.in_state(*only, scope.family),
        _ => diag.in_states(states, scope.family),
    })
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
    ask: impl Fn(&mut SockDiag) -> io::Result<Vec<Listed>> + Sync,
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
            let listed = ask(&mut diag)?;
            let listening = if listed.is_empty() {
                Vec::new()
            } else {
                diag.listening()?
            };
            Ok((listed, listening))
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
    /// Adds a namespace's answer; returns whether there was one. A namespace that is gone is not an
    /// error: its sockets are gone with it.
    fn take(&mut self, netns: u32, result: io::Result<(Vec<Listed>, Vec<Listening>)>) -> bool {
        match result {
            Ok((listed, listening)) => {
                self.listed.extend(listed);
                self.listening.extend(listening);
                return true;
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
