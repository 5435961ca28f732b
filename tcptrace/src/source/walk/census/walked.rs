//! What the walk finds, and what waits in accept queues.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::Arc,
};

use tcptrace_common::{BriefRecord, SocketRecord, TcpState};

use super::{CLOSED, Look, Place, place};
use crate::{
    model::{
        caveat::Caveat,
        socket::{Protocol, Role},
        states::member::{Holders, Kind, Member, NamedProcess, NoSocket},
    },
    source::{
        bpf::socket::{endpoint, family},
        machine::process,
        walk::{convert::name, places::Before, run::Counted, walker::KernelWalk},
    },
};

/// What a walk has found so far, apart from what was given on.
#[derive(Default)]
pub struct Walked {
    names: HashMap<u32, Arc<str>>,
    /// Sockets that several descriptors refer to, with all of them.
    shared: HashMap<u64, Vec<BriefRecord>>,
    /// Listeners in whose queues connections wait, and their holders.
    queues: Vec<(BriefRecord, Holders)>,
    /// MPTCP connections, whose subflows have the same ends.
    pub mptcp: HashSet<Place>,
    /// Sockets in [`CLOSED`].
    pub closing: HashSet<Place>,
    /// Connections in accept queues.
    pub waiting: HashSet<Place>,
    /// What was found in each namespace.
    pub counted: HashMap<u32, Counted>,
}

impl Look<'_> {
    /// Gives on everything, beginning with what the walk finds.
    pub fn by_walk(&mut self, kernel: &mut KernelWalk, mut before: Before) -> io::Result<()> {
        let run = kernel.run(false)?;
        if run.incomplete {
            self.caveats.push(Caveat::UnreadDescriptors);
        }
        let mut walked = Walked {
            counted: run.counted,
            ..Walked::default()
        };
        for index in 0..run.records {
            let Some(record) = kernel.brief(index) else {
                break;
            };
            if record.flags & BriefRecord::ALONE == 0 {
                walked.shared.entry(record.sock).or_default().push(record);
            } else {
                let first = Some(walked.process(&record));
                let holders = Holders {
                    first,
                    ..Holders::default()
                };
                self.found(&mut walked, &record, holders);
            }
        }
        self.several_holders(&mut walked);
        self.queues(kernel, &mut walked);
        let scope = &self.wanted.scope;
        let hidden = (kernel.search).add_hidden(scope, &mut before, &walked.counted);
        self.caveats.extend(hidden);
        let refusal = before.namespaces.refusal();
        for (namespace, counts) in before.counts {
            match counts {
                Ok(counts) => self.rest(kernel, &walked, run.records, &namespace, counts),
                // The namespace is gone.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.caveats.push(Caveat::UnlistedNamespace {
                    netns: namespace.inode,
                    error: error.to_string(),
                }),
            }
        }
        if scope.netns.is_none() {
            self.caveats.extend(refusal);
        }
        Ok(())
    }

    /// Gives on a socket that the walk has found.
    fn found(&mut self, walked: &mut Walked, record: &BriefRecord, holders: Holders) {
        let (Some(state), Some(family), Some(place)) = (
            TcpState::from_number(record.state),
            family(record.family),
            place_of(record),
        ) else {
            return;
        };
        let (_, local, remote) = place;
        if record.flags & BriefRecord::MPTCP != 0 {
            walked.mptcp.insert(place);
        } else if CLOSED.contains(&state) {
            walked.closing.insert(place);
        }
        if !self.in_scope(record.netns) {
            return;
        }
        let cgroup = self.cgroups.path(record.cgroup);
        let member = Member {
            other_cgroups: self.other_cgroups(cgroup.as_ref(), &holders),
            kind: Kind::Socket(state),
            count: 1,
            residue: state == TcpState::Close
                && record.flags & BriefRecord::CONNECTED != 0
                && record.remote_port != 0,
            netns: record.netns,
            family: Some(family),
            local: Some(local),
            remote: Some(remote),
            role: match record.flags & (BriefRecord::SERVER | BriefRecord::CLIENT) {
                _ if state == TcpState::Listen => Role::Server,
                BriefRecord::SERVER => Role::Server,
                BriefRecord::CLIENT => Role::Client,
                _ => Role::Unknown,
            },
            holders,
            cgroup,
            queued: record.queued.into(),
        };
        if state == TcpState::Listen {
            if record.half_open > 0 && !self.wanted.with_ends {
                let requests = Member {
                    kind: Kind::NoSocket(NoSocket::HalfOpen),
                    count: record.half_open.into(),
                    remote: None,
                    queued: 0,
                    ..member.clone()
                };
                (self.each)(requests, None);
            }
            if record.queued > 0 {
                walked.queues.push((*record, member.holders.clone()));
            }
        }
        (self.each)(member, None);
    }

    /// Gives on the sockets that several descriptors refer to: each once.
    fn several_holders(&mut self, walked: &mut Walked) {
        let shared = std::mem::take(&mut walked.shared);
        let pids = shared.values().flatten().map(|record| record.pid);
        let pids: HashSet<u32> = pids.collect();
        let started = match pids.len() {
            0 | 1 => HashMap::new(),
            _ => (pids.into_iter())
                .filter_map(|pid| Some((pid, process::started(pid)?)))
                .collect(),
        };
        for records in shared.into_values() {
            let mut pids: Vec<u32> = records.iter().map(|record| record.pid).collect();
            pids.sort_unstable();
            pids.dedup();
            let age = |pid: &u32| started.get(pid).copied().unwrap_or(u64::MAX);
            pids.sort_by_key(|pid| (age(pid), *pid));
            let mut processes = pids.iter().map(|pid| {
                let of_it = records.iter().find(|record| record.pid == *pid);
                walked.process(of_it.unwrap_or(&records[0]))
            });
            let holders = Holders {
                first: processes.next(),
                others: processes.collect(),
                ..Holders::default()
            };
            let record = records[0];
            self.found(walked, &record, holders);
        }
    }

    /// Gives on the connections that wait to be accepted.
    fn queues(&mut self, kernel: &mut KernelWalk, walked: &mut Walked) {
        let mut unread = 0;
        for (listener, mut holders) in std::mem::take(&mut walked.queues) {
            let asked = SocketRecord {
                sock: listener.sock,
                subflow: listener.subflow,
                netns: listener.netns,
                ..SocketRecord::default()
            };
            let Ok(children) = kernel.queue(&asked) else {
                unread += 1;
                continue;
            };
            holders.are_candidates = !holders.others.is_empty();
            for child in children {
                let meaning = kernel.meaning();
                let Some(listed) = meaning.listed(&child) else {
                    continue;
                };
                if listed.state == TcpState::Close {
                    continue;
                }
                if listed.protocol == Protocol::Mptcp {
                    walked.mptcp.insert(place(&listed));
                } else if let Some(counted) = walked.counted.get_mut(&child.netns) {
                    counted.states[usize::from(child.state & 15)] += 1;
                }
                walked.waiting.insert(place(&listed));
                if self.in_scope(listed.netns) {
                    let member = Member {
                        role: Role::Server,
                        ..self.listed(&listed, holders.clone())
                    };
                    (self.each)(member, None);
                }
            }
        }
        if unread > 0 {
            self.caveats.push(Caveat::UnreadQueues(unread));
        }
    }
}

impl Walked {
    fn process(&mut self, record: &BriefRecord) -> NamedProcess {
        let comm = (self.names.entry(record.pid)).or_insert_with(|| name(record.comm).into());
        (record.pid, Arc::clone(comm))
    }
}

/// Where a socket is that the walk found.
pub fn place_of(record: &BriefRecord) -> Option<Place> {
    let family = family(record.family)?;
    let local = endpoint(family, record.local, record.local_port);
    let remote = endpoint(family, record.remote, record.remote_port);
    Some((record.netns, local, remote))
}
