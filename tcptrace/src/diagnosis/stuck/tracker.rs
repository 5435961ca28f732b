//! From looks to sockets. The tracker only remembers sockets from before the kernel side was
//! attached, with the best bound on their age so far.

use std::{collections::HashSet, mem::take, sync::Arc};

use tcptrace_common::TcpState;

use crate::{
    diagnosis::stuck::{
        before::{Before, Place, place},
        flow::Passing,
        join::{Sighting, join},
        listener::Listeners,
        role::role_of,
        since::{self, at_latest_ns},
    },
    model::{
        filter::is_outside,
        owner::Holder,
        socket::{Identity, Role, Since, Socket},
        stuck::{
            flow::Flow,
            look::{DeadSocket, Entered, Listed, Look, Span},
        },
    },
};

/// Follows the sockets in the watched state from look to look.
#[derive(Debug)]
pub struct Tracker {
    state: TcpState,
    /// Sockets that entered the state unseen.
    before: Before,
    /// Those that pass the filter.
    passing: Passing,
    /// Sockets of the last look that it did not show: see [`Self::came_and_went`].
    doubtful: HashSet<Place>,
    /// Whether there is only one look, so that nothing has to be remembered.
    once: bool,
}

impl Tracker {
    /// A tracker of sockets in `state`.
    #[must_use]
    pub fn new(state: TcpState) -> Self {
        Self {
            state,
            before: Before::default(),
            passing: Passing::default(),
            doubtful: HashSet::new(),
            once: false,
        }
    }

    /// The same for a single look.
    #[must_use]
    pub fn once(state: TcpState) -> Self {
        Self {
            once: true,
            ..Self::new(state)
        }
    }

    /// The sockets in the watched state at this look, regardless of age.
    ///
    /// It takes them out of the look.
    pub fn sockets(&mut self, look: &mut Look) -> Vec<Socket> {
        let mut sockets = Vec::with_capacity(look.listed.len());
        self.each(look, |_, socket| sockets.push(socket));
        sockets
    }

    /// The same one by one, with those that pass the filter, which are counted.
    pub fn each(&mut self, look: &mut Look, mut each: impl FnMut(&mut Passing, Socket)) {
        let (entered, listed) = (take(&mut look.entered), take(&mut look.listed));
        let look = &*look;
        let mut passing = take(&mut self.passing);
        let sightings = join(entered, listed, &look.coverage);
        let listeners = Listeners::new(&look.listening, &look.waiting);
        let mut doubtful = HashSet::new();
        let shown = sightings.filter_map(|sighting| match sighting {
            Sighting::Both(entered, listed) => {
                let since = (Since::Exact(entered.since_ns), None);
                Some(self.listed(look, &listeners, since, listed, Some(&entered)))
            }
            Sighting::ListedOnly(listed) if self.came_and_went(look, &listeners, &listed) => {
                doubtful.insert(place(&listed));
                None
            }
            Sighting::ListedOnly(listed) => {
                let span = self.entered_unseen(&listed);
                let since = (Since::AtLatest(span.latest_ns), span.earliest_ns);
                Some(self.listed(look, &listeners, since, listed, None))
            }
            Sighting::EnteredOnly(entered) => Some(self.unlisted(look, &entered)),
        });
        shown.for_each(|socket| each(&mut passing, socket));
        self.passing = passing;
        self.doubtful = doubtful;
        self.before.end_look();
    }

    /// A dead socket as if it were still in the state in which the network left it.
    #[must_use]
    pub fn as_if_alive(&self, look: &Look, dead: &DeadSocket) -> Socket {
        let listed = Listed {
            state: self.state,
            ..dead.listed.clone()
        };
        let span = since::entered(&listed);
        let since = (Since::AtLatest(span.latest_ns), span.earliest_ns);
        // It was accepted, or connected: it waits in no queue.
        let listeners = Listeners::new(&[], &[]);
        self.listed(look, &listeners, since, listed, None)
    }

    /// Ends the look of those that pass the filter; returns the counts since the start.
    pub fn end_look(&mut self) -> Flow {
        self.passing.end_look()
    }

    /// Whether a socket seems to have entered the state during the look and to have left it again:
    /// the kernel side, which sees every transition, had not seen it before and does not know it any
    /// more, and neither a process nor a queue has it: a socket loses its inode as soon as it is closed.
    /// If the next look lists it again, it is shown.
    fn came_and_went(&self, look: &Look, listeners: &Listeners<'_>, listed: &Listed) -> bool {
        let unfound = || match listed.details.inode {
            0 => !listeners.have(listed),
            inode => holders_of(look, inode).is_none(),
        };
        look.tracing.hook.is_some()
            && look.held.is_some()
            && at_latest_ns(listed) > look.monotonic_ns
            && unfound()
            && !self.before.knows(listed)
            && !self.doubtful.contains(&place(listed))
    }

    /// The best bounds on when a socket entered the state unseen.
    fn entered_unseen(&mut self, listed: &Listed) -> Span {
        match self.once {
            true => since::entered(listed),
            false => self.before.list(listed).0,
        }
    }

    fn listed(
        &self,
        look: &Look,
        listeners: &Listeners<'_>,
        (since, earliest_ns): (Since, Option<u64>),
        listed: Listed,
        entered: Option<&Entered>,
    ) -> Socket {
        let role = role_of(&listed, entered);
        let waits = listed.details.inode == 0;
        let listener = waits
            .then(|| {
                let in_order = |holders: &mut [Holder]| oldest_first(look, holders);
                listeners.listener(&listed, look.held.as_ref(), in_order)
            })
            .flatten();
        let holders = holders_of(look, listed.details.inode);
        let mut socket = Socket {
            identity: Identity {
                protocol: listed.protocol,
                family: listed.family,
                local: listed.local,
                remote: listed.remote,
                netns: Some(listed.netns),
                cookie: listed.cookie,
                role,
            },
            state: self.state,
            since,
            earliest_ns,
            at_entry: entered.and_then(|entered| entered.at_entry).map(Box::new),
            cgroup: None,
            other_cgroups: Vec::new(),
            opener: None,
            user: None,
            listener: None,
            details: Some(Box::new(listed.details)),
            held_outside: look.in_pid_namespace && holders.is_none(),
            holders,
        };
        if socket.accepted() == Some(false) {
            socket.listener = listener;
        }
        socket.cgroup = cgroup_of(look, &socket);
        socket.add_holders_cgroups(|pid| look.processes.get(&pid)?.cgroup.as_ref());
        socket
    }

    fn unlisted(&self, look: &Look, entered: &Entered) -> Socket {
        let identity = Identity {
            protocol: entered.protocol,
            family: entered.family,
            local: entered.local,
            remote: entered.remote,
            netns: entered.netns,
            cookie: entered.cookie,
            role: match entered.from_listener {
                Some(true) => Role::Server,
                // It may have come from a listener with a backlog of 0.
                Some(false) | None => Role::Unknown,
            },
        };
        // No process inside has it, or the walk would have shown it; and it is open.
        let open = matches!(self.state, TcpState::CloseWait | TcpState::Established);
        Socket {
            held_outside: look.in_pid_namespace && open,
            ..Socket::logged(identity, self.state, Since::Exact(entered.since_ns), None)
        }
    }
}

/// Holders of the socket with this inode, the longest-running process first: after a fork this is
/// the parent. `None` if they are not known: a socket with an inode is open somewhere.
pub fn holders_of(look: &Look, inode: u32) -> Option<Vec<Holder>> {
    let descriptors = look.held.as_ref()?.of(inode).iter();
    let mut holders: Vec<Holder> = descriptors
        .map(|descriptor| descriptor.holder.clone())
        .collect();
    oldest_first(look, &mut holders);
    (inode == 0 || !holders.is_empty()).then_some(holders)
}

/// The longest-running process first.
fn oldest_first(look: &Look, holders: &mut [Holder]) {
    let started = |holder: &Holder| look.processes.get(&holder.pid).map(|info| info.started);
    holders.sort_by_key(|holder| (started(holder).unwrap_or(u64::MAX), holder.pid, holder.fd));
}

/// The control group that created the socket or, if the kernel does not report it, the control
/// group of its owner; `None` if that cannot be reached.
fn cgroup_of(look: &Look, socket: &Socket) -> Option<Arc<str>> {
    let id = socket
        .details
        .as_ref()
        .and_then(|details| details.cgroup_id);
    if let Some(id) = id {
        return look.cgroups.get(&id).map(|path| path.as_str().into());
    }
    let (pid, _) = socket.process()?;
    let path = look.processes.get(&pid)?.cgroup.as_ref()?;
    (!is_outside(path)).then(|| Arc::clone(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NOW_NS, SECOND, busy_look, end, entered, listed, look};
    use crate::model::stuck::look::{Descriptors, Waiting};

    fn by_cookie(sockets: &[Socket], cookie: u64) -> &Socket {
        let found = sockets
            .iter()
            .find(|socket| socket.identity.cookie == Some(cookie));
        found.expect("the socket is there")
    }

    #[test]
    fn seen_transitions_are_exact_and_others_lower_bounds() {
        let sockets = Tracker::new(TcpState::CloseWait).sockets(&mut busy_look());
        assert_eq!(sockets.len(), 4);
        assert_eq!(
            by_cookie(&sockets, 2).since,
            Since::Exact(NOW_NS - 91 * SECOND)
        );
        assert_eq!(
            by_cookie(&sockets, 1).since,
            Since::AtLatest(NOW_NS - 700 * SECOND)
        );
    }

    #[test]
    fn the_longest_running_holder_comes_first() {
        let sockets = Tracker::new(TcpState::CloseWait).sockets(&mut busy_look());
        let holders = by_cookie(&sockets, 2).holders.as_ref().expect("asked for");
        let pids: Vec<_> = holders.iter().map(|holder| holder.pid).collect();
        assert_eq!(pids, [4242, 4300]);
    }

    #[test]
    fn nobody_accepted_a_socket_without_inode_and_its_listener_is_named() {
        let sockets = Tracker::new(TcpState::CloseWait).sockets(&mut busy_look());
        let waiting = by_cookie(&sockets, 4);
        assert_eq!(waiting.accepted(), Some(false));
        assert_eq!(waiting.holders.as_deref(), Some(&[][..]));
        assert_eq!(waiting.identity.role, Role::Server);
        assert_eq!(waiting.process(), Some((80, "nginx")));
        assert_eq!(by_cookie(&sockets, 3).accepted(), Some(true));
    }

    #[test]
    fn a_closed_socket_in_a_closing_state_is_not_called_unaccepted() {
        let mut sockets = Tracker::new(TcpState::LastAck).sockets(&mut busy_look());
        let waiting = sockets.pop().expect("four sockets");
        assert_eq!(waiting.accepted(), None);
    }

    #[test]
    fn the_best_bound_is_kept_until_the_socket_goes() {
        let mut tracker = Tracker::new(TcpState::CloseWait);
        let socket = listed(1, end("10.0.0.1", 80), end("10.0.0.2", 9999), 60);
        let mut first = look();
        first.listed = vec![socket.clone()];
        tracker.sockets(&mut first);
        // A keepalive probe was answered: the kernel now says 3 s.
        let mut second = look();
        second.listed = vec![Listed {
            last_ack_ns: Some(NOW_NS - 3 * SECOND),
            ..socket
        }];
        let sockets = tracker.sockets(&mut second);
        assert_eq!(sockets[0].since, Since::AtLatest(NOW_NS - 60 * SECOND));
    }

    #[test]
    fn what_entered_during_the_look_and_is_gone_is_not_shown() {
        let socket = Listed {
            last_ack_ns: None,
            listed_ns: NOW_NS + 1,
            ..listed(1, end("10.0.0.1", 80), end("10.0.0.2", 9999), 60)
        };
        let mut unheld = look();
        unheld.held = Some(Descriptors::default());
        unheld.listed = vec![socket.clone()];
        let shown = |look: &Look| {
            Tracker::new(TcpState::CloseWait)
                .sockets(&mut look.clone())
                .len()
        };
        assert_eq!(shown(&unheld), 0);
        // It is still there.
        let mut again = Tracker::new(TcpState::CloseWait);
        assert_eq!(again.sockets(&mut unheld.clone()).len(), 0);
        assert_eq!(again.sockets(&mut unheld.clone()).len(), 1);
        // A single look sees no transitions.
        let mut once = unheld.clone();
        once.tracing.hook = None;
        assert_eq!(shown(&once), 1);
        // It was listed while its process closed it.
        let mut closing = unheld.clone();
        closing.listed[0].details.inode = 0;
        assert_eq!(shown(&closing), 0);
        closing.waiting = vec![Waiting {
            listener: 70,
            netns: socket.netns,
            local: socket.local,
            remote: socket.remote,
        }];
        assert_eq!(shown(&closing), 1);
        // It was there before.
        let mut tracker = Tracker::new(TcpState::CloseWait);
        let mut earlier = unheld.clone();
        earlier.listed = vec![Listed {
            listed_ns: NOW_NS,
            ..socket
        }];
        assert_eq!(tracker.sockets(&mut earlier).len(), 1);
        assert_eq!(tracker.sockets(&mut unheld.clone()).len(), 1);
    }

    #[test]
    fn a_descriptor_counts_once() {
        let held = busy_look().held.expect("asked for");
        let mut twice = [held.all(), held.all()].concat();
        twice.reverse();
        assert_eq!(Descriptors::new(twice), held);
    }

    #[test]
    fn what_no_process_inside_has_is_held_outside() {
        let mut look = busy_look();
        look.held = Some(Descriptors::default());
        look.in_pid_namespace = true;
        let socket = listed(9, end("10.0.0.1", 80), end("10.0.0.2", 9999), 60);
        look.entered.push(entered(&socket, 60));
        look.coverage = crate::model::stuck::look::Coverage::default();
        let sockets = Tracker::new(TcpState::CloseWait).sockets(&mut look);
        let outside = |cookie| by_cookie(&sockets, cookie).held_outside;
        assert!(outside(1) && outside(9));
        // Nobody has accepted it.
        assert!(!outside(4));
    }

    #[test]
    fn without_details_nothing_is_claimed() {
        let mut look = look();
        let socket = listed(1, end("10.0.0.1", 80), end("10.0.0.2", 9999), 60);
        look.entered = vec![entered(&socket, 60)];
        look.coverage = crate::model::stuck::look::Coverage::default();
        let sockets = Tracker::new(TcpState::CloseWait).sockets(&mut look);
        assert_eq!(sockets[0].details, None);
        assert_eq!(sockets[0].holders, None);
        assert_eq!(sockets[0].accepted(), None);
        assert_eq!(sockets[0].identity.role, Role::Unknown);
    }
}
