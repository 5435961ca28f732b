//! The sockets that the user asks about. The kernel applies the part of the filter that it can;
//! this module applies all of it, to sockets with all details.

pub mod absent;
pub mod unmatched;

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;
use tcptrace_common::TcpState;

use crate::model::{
    owner::{Holder, Process},
    socket::{Endpoint, Family, Identity, Socket, common_form},
    states::member::Member,
    stuck::residue::Residue,
    transition::{Record, Transition},
};

/// A filter. An empty part lets everything pass; several values of one part mean "any of".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Processes that hold the socket, or its listener if no process has accepted it, or that
    /// opened it according to a log.
    pub pids: Vec<u32>,
    /// Names of such processes.
    pub comms: Vec<String>,
    /// Local or remote ports.
    pub ports: Vec<u16>,
    /// Ranges of remote addresses.
    pub remotes: Vec<IpNet>,
    /// Inode number of the network namespace.
    pub netns: Option<u32>,
    /// Path of a control group, from the cgroup root; groups below it match too.
    pub cgroup: Option<String>,
    /// The sockets' family.
    pub family: Option<Family>,
}

fn any<T>(wanted: &[T], fits: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(fits)
}

impl Filter {
    /// Whether `socket` is wanted. Unknown values do not match.
    #[must_use]
    pub fn passes(&self, socket: &Socket) -> bool {
        let listener = socket.listener.iter();
        let listener_holders = listener.clone().filter_map(|l| l.holders.as_ref());
        let holders = socket.holders.iter().chain(listener_holders).flatten();
        let openers = socket.opener.iter().chain(&socket.user);
        let openers = openers.chain(listener.filter_map(|l| l.opener.as_ref()));
        self.processes_fit(openers.map(|owner| &owner.process), holders)
            && self.any_cgroup_fits(socket.cgroup.iter().chain(&socket.other_cgroups))
            && self.identity_fits(&socket.identity)
    }

    /// Whether the residue is wanted.
    #[must_use]
    pub fn passes_residue(&self, residue: &Residue) -> bool {
        self.ends_fit(residue.local, residue.remote)
            && self.netns.is_none_or(|netns| residue.netns == netns)
            && self.family.is_none_or(|family| residue.family == family)
            && self.processes_fit(std::iter::empty(), residue.holders.iter())
            && self.any_cgroup_fits(residue.cgroups.iter())
    }

    /// Whether something that is counted is wanted. What is not known does not match.
    #[must_use]
    pub fn passes_member(&self, member: &Member) -> bool {
        let process = |fits: &dyn Fn(u32, &str) -> bool| {
            let mut all = member.holders.all();
            all.any(|(pid, comm)| fits(*pid, comm))
        };
        let (local, remote) = (member.local, member.remote);
        let has_port = |end: Option<Endpoint>, port| end.is_some_and(|end| end.port == port);
        any(&self.ports, |port| {
            *port != 0 && (has_port(local, *port) || has_port(remote, *port))
        }) && any(&self.remotes, |range| {
            remote.is_some_and(|end| holds(range, end.address))
        }) && self.netns.is_none_or(|netns| member.netns == netns)
            && (self.family).is_none_or(|family| member.family == Some(family))
            && any(&self.pids, |wanted| process(&|pid, _| pid == *wanted))
            && any(&self.comms, |wanted| process(&|_, comm| comm == wanted))
            && self.any_cgroup_fits(member.cgroup.iter().chain(&member.other_cgroups))
    }

    /// Whether a line of a log is wanted: about a wanted socket, and into or out of one of `states`
    /// (any state if there are none). Lines about losses always pass.
    #[must_use]
    pub fn passes_record(&self, record: &Record, states: &[TcpState]) -> bool {
        match record {
            Record::Transition(seen) => {
                any(states, |state| [seen.from, seen.to].contains(state))
                    && self.passes_transition(seen)
            }
            Record::StillOpen(open) => {
                any(states, |state| {
                    open.socket.state == *state || open.residue_of == Some(*state)
                }) && self.passes(&open.socket)
            }
            Record::Loss(_) => true,
        }
    }

    /// Whether the socket of a transition is wanted. An unknown owner matches no process and no
    /// control group, and an unknown port matches no port.
    fn passes_transition(&self, seen: &Transition) -> bool {
        let owners = seen.user.iter().chain(&seen.opener);
        // After an exec the caller has another name than the owner had.
        let processes = owners.clone().map(|owner| &owner.process);
        let processes = processes.chain(&seen.caller);
        self.identity_fits(&seen.socket)
            && self.processes_fit(processes, std::iter::empty())
            && self.any_cgroup_fits(owners.filter_map(|owner| owner.cgroup.as_ref()))
    }

    fn identity_fits(&self, socket: &Identity) -> bool {
        self.ends_fit(socket.local, socket.remote)
            && self.netns.is_none_or(|netns| socket.netns == Some(netns))
            && self.family.is_none_or(|family| socket.family == family)
    }

    fn ends_fit(&self, local: Endpoint, remote: Endpoint) -> bool {
        any(&self.ports, |port| {
            *port != 0 && [local.port, remote.port].contains(port)
        }) && any(&self.remotes, |range| holds(range, remote.address))
    }

    fn processes_fit<'a>(
        &self,
        processes: impl Iterator<Item = &'a Process> + Clone,
        holders: impl Iterator<Item = &'a Holder> + Clone,
    ) -> bool {
        let fit = |fits: &dyn Fn(Option<u32>, &str) -> bool| {
            let mut processes = processes.clone();
            processes.any(|process| fits(process.pid, &process.comm))
                || (holders.clone()).any(|holder| fits(Some(holder.pid), &holder.comm))
        };
        any(&self.pids, |wanted| fit(&|pid, _| pid == Some(*wanted)))
            && any(&self.comms, |wanted| fit(&|_, comm| comm == wanted))
    }

    /// One of its groups: its own, or one of its processes', which differ where a socket was passed on.
    fn any_cgroup_fits<'a>(&self, mut groups: impl Iterator<Item = &'a Arc<str>>) -> bool {
        let root = self.cgroup.as_ref();
        root.is_none_or(|root| groups.any(|path| is_below(path, root)))
    }
}

/// A range of IPv4 addresses also contains their v4-mapped forms.
fn holds(range: &IpNet, address: IpAddr) -> bool {
    match range {
        IpNet::V4(range) => common_form(address)
            .to_ipv4_mapped()
            .is_some_and(|v4| range.contains(&v4)),
        IpNet::V6(range) => range.contains(&common_form(address)),
    }
}

/// Whether a control group is this one or below it; the root is "", and everything is below it but what is
/// outside of tcptrace's cgroup namespace.
pub(crate) fn is_below(path: &str, root: &str) -> bool {
    let root = root.trim_end_matches('/');
    let below = path.strip_prefix(root);
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) && !is_outside(path)
}

/// Whether the path of a control group leads out of tcptrace's cgroup namespace, from the root of which it
/// is: the machine's root could not be reached.
pub(crate) fn is_outside(path: &str) -> bool {
    path.strip_prefix("/..")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use tcptrace_common::TcpState;

    use super::*;
    use crate::{
        diagnosis::stuck::tracker::Tracker,
        fixtures::{busy_look, transition},
        model::transition::Loss,
    };

    /// Cookies of the sockets that pass.
    fn passing(filter: &Filter) -> Vec<u64> {
        let sockets = Tracker::new(TcpState::CloseWait).sockets(&mut busy_look());
        let passing = sockets.iter().filter(|socket| filter.passes(socket));
        passing
            .filter_map(|socket| socket.identity.cookie)
            .collect()
    }

    fn ranges(texts: &[&str]) -> Vec<IpNet> {
        let range = |text: &&str| text.parse().expect("a valid range");
        texts.iter().map(range).collect()
    }

    #[test]
    fn an_empty_filter_passes_all() {
        assert_eq!(passing(&Filter::default()), [1, 2, 3, 4]);
    }

    #[test]
    fn each_part_narrows() {
        let base = Filter::default;
        let cases = [
            (
                Filter {
                    pids: vec![4300],
                    ..base()
                },
                vec![2],
            ),
            (
                Filter {
                    comms: vec!["nginx".into()],
                    ..base()
                },
                vec![3, 4],
            ),
            (
                Filter {
                    ports: vec![8080, 51000],
                    ..base()
                },
                vec![1, 2, 3],
            ),
            (
                Filter {
                    remotes: ranges(&["192.0.2.0/24"]),
                    ..base()
                },
                vec![3, 4],
            ),
            (
                Filter {
                    remotes: ranges(&["::ffff:10.0.0.7/128"]),
                    ..base()
                },
                vec![1, 2],
            ),
            (
                Filter {
                    netns: Some(1),
                    ..base()
                },
                vec![],
            ),
            (
                Filter {
                    family: Some(Family::Ipv6),
                    ..base()
                },
                vec![3],
            ),
            (
                Filter {
                    cgroup: Some("/a".into()),
                    ..base()
                },
                vec![],
            ),
        ];
        for (filter, expected) in cases {
            assert_eq!(passing(&filter), expected, "{filter:?}");
        }
    }

    #[test]
    fn lines_of_a_log_are_filtered_by_the_owner_they_name() {
        let seen = transition(3, TcpState::Established, TcpState::CloseWait, 5);
        let mut unknown = seen.clone();
        unknown.opener = None;
        unknown.socket.local.port = 0;
        let loss = Record::Loss(Loss {
            time: seen.time,
            monotonic_ns: 5,
            transitions: 1,
            sockets: 0,
            runs: 0,
        });
        let lines = [Record::Transition(seen), Record::Transition(unknown), loss];
        let passes = |filter: &Filter, states: &[TcpState]| {
            [0, 1, 2].map(|line: usize| filter.passes_record(&lines[line], states))
        };
        let base = Filter::default;
        let with = |change: fn(&mut Filter)| {
            let mut filter = base();
            change(&mut filter);
            passes(&filter, &[])
        };
        assert_eq!(passes(&base(), &[]), [true; 3]);
        assert_eq!(passes(&base(), &[TcpState::CloseWait]), [true; 3]);
        assert_eq!(passes(&base(), &[TcpState::LastAck]), [false, false, true]);
        assert_eq!(with(|f| f.pids = vec![4242]), [true, false, true]);
        assert_eq!(with(|f| f.pids = vec![1]), [false, false, true]);
        assert_eq!(with(|f| f.comms = vec!["java".into()]), [true, false, true]);
        assert_eq!(
            with(|f| f.cgroup = Some("/system.slice".into())),
            [true, false, true]
        );
        assert_eq!(
            with(|f| f.cgroup = Some(String::new())),
            [true, false, true]
        );
        assert_eq!(with(|f| f.ports = vec![40_003]), [true, false, true]);
        assert_eq!(with(|f| f.ports = vec![0]), [false, false, true]);
        assert_eq!(with(|f| f.ports = vec![8080]), [true; 3]);
        assert_eq!(with(|f| f.remotes = ranges(&["10.0.0.7/32"])), [true; 3]);
        assert_eq!(with(|f| f.netns = Some(1)), [false, false, true]);
        assert_eq!(
            with(|f| f.family = Some(Family::Ipv6)),
            [false, false, true]
        );
    }

    #[test]
    fn a_socket_is_in_the_groups_of_its_holders_too() {
        let mut look = busy_look();
        let info = look.processes.get_mut(&4242).expect("it is there");
        info.cgroup = Some("/b/server".into());
        for socket in &mut look.listed {
            socket.details.cgroup_id = Some(7);
        }
        look.cgroups = [(7, "/a/launcher".into())].into();
        let sockets = Tracker::new(TcpState::CloseWait).sockets(&mut look);
        let passing = |cgroup: &str| {
            let cgroup = Some(cgroup.into());
            let filter = Filter {
                cgroup,
                ..Filter::default()
            };
            sockets.iter().filter(|one| filter.passes(one)).count()
        };
        assert_eq!(passing("/a"), sockets.len());
        let held = sockets
            .iter()
            .filter(|one| one.process() == Some((4242, "java")));
        assert_eq!(passing("/b"), held.clone().count());
        assert!(passing("/b") > 0 && passing("/c") == 0);
        for socket in held {
            assert_eq!(socket.cgroup.as_deref(), Some("/a/launcher"));
            assert_eq!(socket.process_cgroup().map(|it| &**it), Some("/b/server"));
        }
    }

    #[test]
    fn a_group_holds_those_below_it_only() {
        assert!(is_below("/a/b", "/a"));
        assert!(is_below("/a", "/a/"));
        assert!(is_below("/anything", ""));
        assert!(!is_below("/ab", "/a"));
        assert!(!is_below("/../a", "") && !is_below("/..", ""));
        assert!(is_below("/..a", ""));
    }
}
