//! Which sockets the user asked about. The kernel applies what it can of this; here all of it is
//! applied, to sockets with all details.

use ipnet::IpNet;

use super::socket::{Family, Socket, common_form};

/// A filter; an empty part lets everything through, several values of one part mean "any of".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Processes that hold the socket or, if nobody has accepted it, its listener.
    pub pids: Vec<u32>,
    /// Names of such processes.
    pub comms: Vec<String>,
    /// Local or remote ports.
    pub ports: Vec<u16>,
    /// Ranges of remote addresses.
    pub remotes: Vec<IpNet>,
    /// Inode number of the network namespace.
    pub netns: Option<u32>,
    /// Path of a control group, from the cgroup root; those below it are meant too.
    pub cgroup: Option<String>,
    /// The sockets' family.
    pub family: Option<Family>,
}

fn any<T>(wanted: &[T], fits: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(fits)
}

impl Filter {
    /// Whether `socket` is wanted. What is not known does not fit.
    #[must_use]
    pub fn passes(&self, socket: &Socket) -> bool {
        let listener = socket
            .listener
            .iter()
            .flat_map(|listener| &listener.holders);
        let owners: Vec<_> = socket.holders.iter().flatten().chain(listener).collect();
        any(&self.pids, |pid| owners.iter().any(|o| o.pid == *pid))
            && any(&self.comms, |comm| owners.iter().any(|o| o.comm == *comm))
            && any(&self.ports, |port| {
                [socket.local.port, socket.remote.port].contains(port)
            })
            && any(&self.remotes, |range| holds(range, socket))
            && self.netns.is_none_or(|netns| socket.netns == Some(netns))
            && self.family.is_none_or(|family| socket.family == family)
            && self.cgroup.as_ref().is_none_or(|root| {
                let path = socket.cgroup.as_ref();
                path.is_some_and(|path| is_below(path, root))
            })
    }
}

/// A range of IPv4 addresses holds their v4-mapped forms too.
fn holds(range: &IpNet, socket: &Socket) -> bool {
    let address = socket.remote.address;
    match range {
        IpNet::V4(range) => common_form(address)
            .to_ipv4_mapped()
            .is_some_and(|v4| range.contains(&v4)),
        IpNet::V6(range) => range.contains(&common_form(address)),
    }
}

fn is_below(path: &str, root: &str) -> bool {
    let root = root.trim_end_matches('/');
    path.strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use tcptrace_common::TcpState;

    use super::*;
    use crate::model::{fixtures::busy_look, tracker::Tracker};

    /// Cookies of the sockets that pass.
    fn passing(filter: &Filter) -> Vec<u64> {
        let sockets = Tracker::new(TcpState::CloseWait).sockets(&busy_look());
        let passing = sockets.iter().filter(|socket| filter.passes(socket));
        passing.filter_map(|socket| socket.cookie).collect()
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
    fn a_group_holds_those_below_it_only() {
        assert!(is_below("/a/b", "/a"));
        assert!(is_below("/a", "/a/"));
        assert!(is_below("/anything", ""));
        assert!(!is_below("/ab", "/a"));
    }
}
