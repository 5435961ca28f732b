//! The filters as the user gives them: no name is looked up yet.

use std::fmt::{self, Display};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tcptrace_common::TcpState;

use crate::model::{filter::Filter, socket::Family};

/// A network namespace as the user gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Netns {
    /// By its inode number, as in `net:[…]`.
    Inode(u32),
    /// By its name in `/run/netns`, or by a path.
    Name(String),
}

/// Filters, the same for every command. An empty part lets everything pass; several values of one
/// part mean "any of".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// Processes.
    pub pids: Vec<u32>,
    /// Names of processes.
    pub comms: Vec<String>,
    /// Local or remote ports.
    pub ports: Vec<u16>,
    /// Ranges of remote addresses.
    pub remotes: Vec<IpNet>,
    /// The network namespace.
    pub netns: Option<Netns>,
    /// Path of a control group, from the cgroup root; groups below it match too.
    pub cgroup: Option<String>,
    /// The sockets' family.
    pub family: Option<Family>,
}

impl Filters {
    /// The filter that the model applies, once the inode number of `netns` is known.
    #[must_use]
    pub fn resolved(&self, netns: Option<u32>) -> Filter {
        Filter {
            pids: self.pids.clone(),
            comms: self.comms.clone(),
            ports: self.ports.clone(),
            remotes: self.remotes.clone(),
            netns,
            cgroup: self.cgroup.clone(),
            family: self.family,
        }
    }

    /// Whether nothing is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Each option with its values, that of processes first; `None` if it is not given.
    fn words(&self) -> Vec<Option<String>> {
        vec![
            words("pid", &self.pids),
            words("comm", &self.comms),
            words("port", &self.ports),
            words("remote", &self.remotes),
            words("netns", self.netns.as_slice()),
            words("cgroup", self.cgroup.as_slice()),
            words("family", self.family.map(Family::name).as_slice()),
        ]
    }
}

/// The requested records of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilters {
    /// Records of these sockets.
    pub sockets: Filters,
    /// Whether records of descendants of the processes are included.
    pub children: bool,
    /// Only records into or out of one of these states; none for all.
    pub states: Vec<TcpState>,
}

impl LogFilters {
    /// Whether nothing is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The combination of this filter and then `next`. For parts that exclude each other nothing
    /// passes, and the part of `next` is kept.
    #[must_use]
    pub fn and(&self, next: &Self) -> Self {
        let (first, then) = (&self.sockets, &next.sockets);
        let groups = [&first.cgroup, &then.cgroup].into_iter().flatten();
        Self {
            sockets: Filters {
                pids: both(&first.pids, &then.pids, u32::eq),
                comms: both(&first.comms, &then.comms, String::eq),
                ports: both(&first.ports, &then.ports, u16::eq),
                remotes: both(&first.remotes, &then.remotes, |range, other| {
                    other.contains(range)
                }),
                netns: then.netns.clone().or_else(|| first.netns.clone()),
                // The deeper group, which is below the other.
                cgroup: groups.max_by_key(|path| path.len()).cloned(),
                family: then.family.or(first.family),
            },
            children: next.children || (self.children && then.pids.is_empty()),
            states: both(&self.states, &next.states, TcpState::eq),
        }
    }
}

/// The values of each that lie within a value of the other.
fn both<T: Clone + PartialEq>(
    first: &[T],
    then: &[T],
    is_within: impl Fn(&T, &T) -> bool,
) -> Vec<T> {
    if first.is_empty() || then.is_empty() {
        return [first, then].concat();
    }
    let of = |some: &[T], others: &[T]| -> Vec<T> {
        let within = |value: &&T| others.iter().any(|other| is_within(value, other));
        some.iter().filter(within).cloned().collect()
    };
    let mut both = of(first, then);
    let more = of(then, first);
    both.extend(more.into_iter().filter(|value| !first.contains(value)));
    if both.is_empty() {
        return then.to_vec();
    }
    both
}

/// The filters in the form of the command line: not yet fit for a terminal.
impl Display for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        join(self.words(), f)
    }
}

/// Likewise.
impl Display for LogFilters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.states.iter().map(|state| state.name()).collect();
        let mut all = self.sockets.words();
        // Behind the processes, whose children are meant.
        let children = self.children.then(|| "--children".to_owned());
        all.insert(1, children);
        all.push(words("state", &names));
        join(all, f)
    }
}

fn join(words: Vec<Option<String>>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let words: Vec<_> = words.into_iter().flatten().collect();
    f.write_str(&words.join(" "))
}

impl Display for Netns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inode(inode) => inode.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// An option with its values; `None` if it is not given.
fn words(option: &str, values: &[impl Display]) -> Option<String> {
    let texts: Vec<_> = values.iter().map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| format!("--{option} {}", texts.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remotes(ranges: &[&str]) -> LogFilters {
        let range = |text: &&str| text.parse().expect("a valid range");
        LogFilters {
            sockets: Filters {
                remotes: ranges.iter().map(range).collect(),
                ..Filters::default()
            },
            ..LogFilters::default()
        }
    }

    #[test]
    fn they_read_as_on_the_command_line() {
        let all = LogFilters {
            sockets: Filters {
                pids: vec![4242, 7],
                comms: vec!["java".into()],
                ports: vec![443],
                netns: Some(Netns::Name("blue".into())),
                cgroup: Some("/a".into()),
                family: Some(Family::Ipv6),
                ..remotes(&["10.0.0.0/8"]).sockets
            },
            children: true,
            states: vec![TcpState::CloseWait, TcpState::LastAck],
        };
        assert_eq!(
            all.to_string(),
            "--pid 4242,7 --children --comm java --port 443 --remote 10.0.0.0/8 --netns blue \
             --cgroup /a --family ipv6 --state CLOSE_WAIT,LAST_ACK"
        );
        assert!(LogFilters::default().is_empty() && !all.is_empty());
        assert_eq!(all.and(&LogFilters::default()), all);
        assert_eq!(LogFilters::default().and(&all), all);
        assert_eq!(all.and(&all), all);
    }

    #[test]
    fn one_after_the_other_leaves_what_passes_both() {
        let first = remotes(&["10.0.0.0/8", "192.0.2.7/32"]);
        let both = first.and(&remotes(&["10.1.0.0/16", "192.0.2.0/24"]));
        assert_eq!(both, remotes(&["192.0.2.7/32", "10.1.0.0/16"]));
        let neither = first.and(&remotes(&["172.16.0.0/12"]));
        assert_eq!(neither, remotes(&["172.16.0.0/12"]));
        let family = LogFilters {
            sockets: Filters {
                pids: vec![5],
                ..Filters::default()
            },
            children: true,
            ..LogFilters::default()
        };
        let child = LogFilters {
            children: false,
            sockets: Filters {
                pids: vec![6],
                ..Filters::default()
            },
            ..LogFilters::default()
        };
        assert_eq!(family.and(&child), child);
    }
}
