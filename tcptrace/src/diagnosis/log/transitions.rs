//! How long a socket was in the state that it leaves, its owner, and its role.

use tcptrace_common::TcpState;

use crate::{
    diagnosis::stuck::before::Before,
    model::{
        owner::KnownBy,
        socket::{Identity, Role, Since},
        track::SeenTransition,
        transition::{Loss, StateDuration, Transition},
    },
};

/// What else is needed to interpret a transition.
#[derive(Debug, Default)]
pub struct Transitions {
    /// Sockets from before the start.
    before: Before,
    /// The kernel skipped a transition before this moment (ns of `CLOCK_MONOTONIC`), so an earlier
    /// time at which a socket entered its state is not certain.
    doubted_until_ns: u64,
}

impl Transitions {
    /// Nothing was lost yet.
    #[must_use]
    pub fn new(before: Before) -> Self {
        Self {
            before,
            doubted_until_ns: 0,
        }
    }

    /// Sockets from before the start.
    #[must_use]
    pub fn before(&self) -> &Before {
        &self.before
    }

    /// Records a loss. Call this before the transitions of the same read are interpreted.
    pub fn doubt(&mut self, loss: &Loss) {
        if loss.runs > 0 {
            self.doubted_until_ns = loss.monotonic_ns;
        }
    }

    /// The transition with everything that is known about it.
    pub fn judge(&mut self, seen: SeenTransition) -> Transition {
        let duration = self.duration(&seen);
        let known_by = seen.opener.as_ref().map(|owner| owner.known_by);
        let role = role(known_by, seen.from, seen.to, seen.from_listener);
        let cookie = seen.socket.cookie;
        let opener = seen.opener.or_else(|| {
            let waiting = cookie.filter(|_| seen.unaccepted)?;
            self.before.get(waiting)?.waits_at.as_deref().cloned()
        });
        if let (TcpState::Close, Some(cookie)) = (seen.to, cookie) {
            self.before.forget(cookie);
        }
        Transition {
            time: seen.time,
            monotonic_ns: seen.monotonic_ns,
            from: seen.from,
            to: seen.to,
            ending: seen.ending,
            duration,
            socket: Identity {
                role,
                ..seen.socket
            },
            opener,
            user: seen.user,
            caller: seen.caller,
        }
    }

    fn duration(&self, seen: &SeenTransition) -> StateDuration {
        let lasted = |since_ns: u64| seen.monotonic_ns.saturating_sub(since_ns);
        let earlier = || self.before.at_latest_ns(seen.socket.cookie?, seen.from);
        match seen.since {
            Some(Since::AtLatest(since_ns)) => {
                let bound = earlier().map_or(since_ns, |bound| bound.min(since_ns));
                StateDuration::AtLeast(lasted(bound))
            }
            None => earlier().map_or(StateDuration::Unknown, |bound| {
                StateDuration::AtLeast(lasted(bound))
            }),
            Some(Since::Exact(since_ns)) if since_ns < self.doubted_until_ns => {
                StateDuration::Unknown
            }
            Some(Since::Exact(since_ns)) => StateDuration::Exact(lasted(since_ns)),
        }
    }
}

/// The role of a socket, from how its owner is known, from the transition itself, and from its
/// backlog.
pub fn role(known_by: Option<KnownBy>, from: TcpState, to: TcpState, from_listener: bool) -> Role {
    let either = |state| from == state || to == state;
    match known_by {
        Some(KnownBy::Connect) => Role::Client,
        Some(KnownBy::Accept | KnownBy::Listen | KnownBy::Listener) => Role::Server,
        _ if either(TcpState::Listen) => Role::Server,
        _ if either(TcpState::SynSent) => Role::Client,
        _ if from_listener => Role::Server,
        // A listener may have a backlog of 0.
        _ => Role::Unknown,
    }
}
