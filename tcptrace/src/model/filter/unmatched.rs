//! Values of filters that nothing has: on this machine, or in a recording.

use crate::model::{
    filter::{
        Filter,
        absent::{Absent, Values, Whole},
        is_below,
    },
    owner::{Holder, Owner},
    socket::Socket,
    states::member::Member,
    stuck::look::Look,
    transition::Record,
};

/// The values of a filter that nothing has had so far. Ports, remotes and families are not among them:
/// something may have any of those at any time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unmatched {
    /// Numbers of processes, each once.
    pub pids: Vec<u32>,
    /// Names of processes, each once.
    pub comms: Vec<String>,
    /// Inode number of a network namespace.
    pub netns: Option<u32>,
    /// Path of a control group, from the cgroup root.
    pub cgroup: Option<String>,
}

impl Unmatched {
    /// All values of the filter.
    #[must_use]
    pub fn new(filter: &Filter) -> Self {
        let (mut pids, mut comms) = (filter.pids.clone(), filter.comms.clone());
        pids.sort_unstable();
        pids.dedup();
        comms.sort_unstable();
        comms.dedup();
        Self {
            pids,
            comms,
            netns: filter.netns,
            cgroup: filter.cgroup.clone(),
        }
    }

    /// Whether something has had each of them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn process(&mut self, pid: Option<u32>, comm: &str) {
        self.pids.retain(|wanted| Some(*wanted) != pid);
        self.comms.retain(|wanted| wanted != comm);
    }

    fn place(&mut self, netns: Option<u32>) {
        self.netns = self.netns.filter(|wanted| Some(*wanted) != netns);
    }

    fn group(&mut self, path: Option<&str>) {
        let has = |root: &String| path.is_some_and(|path| is_below(path, root));
        if self.cgroup.as_ref().is_some_and(has) {
            self.cgroup = None;
        }
    }

    fn owner(&mut self, owner: &Owner) {
        self.process(owner.process.pid, &owner.process.comm);
        self.group(owner.cgroup.as_deref());
    }

    fn holders<'a>(&mut self, holders: impl IntoIterator<Item = &'a Holder>) {
        for holder in holders {
            self.process(Some(holder.pid), &holder.comm);
        }
    }

    /// Takes out what a look at the machine shows, whether it passes the filter or not.
    pub fn see_look(&mut self, look: &Look) {
        if self.is_empty() {
            return;
        }
        let held = look.held.iter().flat_map(|held| held.all());
        self.holders(held.map(|one| &one.holder));
        let listed = look.listed.iter().map(|one| Some(one.netns));
        let dead = look.dead.iter().flatten().map(|one| Some(one.listed.netns));
        let entered = look.entered.iter().map(|one| one.netns);
        for netns in listed.chain(dead).chain(entered) {
            self.place(netns);
        }
        for path in look.cgroups.values() {
            self.group(Some(path));
        }
    }

    /// Takes out what is known of something that is counted.
    pub fn see_member(&mut self, member: &Member) {
        if self.is_empty() {
            return;
        }
        for (pid, comm) in member.holders.all() {
            self.process(Some(*pid), comm);
        }
        self.place(Some(member.netns));
        self.group(member.cgroup.as_deref());
    }

    /// Takes out what a line of a log says.
    pub fn see_record(&mut self, record: &Record) {
        if self.is_empty() {
            return;
        }
        match record {
            Record::Transition(seen) => {
                self.place(seen.socket.netns);
                let owners = seen.user.iter().chain(&seen.opener);
                owners.for_each(|owner| self.owner(owner));
            }
            Record::StillOpen(open) => self.see_socket(&open.socket),
            Record::Loss(_) => {}
        }
    }

    fn see_socket(&mut self, socket: &Socket) {
        self.place(socket.identity.netns);
        self.group(socket.cgroup.as_deref());
        self.holders(socket.holders.iter().flatten());
        let owners = socket.user.iter().chain(&socket.opener);
        owners.for_each(|owner| self.owner(owner));
        if let Some(listener) = &socket.listener {
            self.holders(listener.holders.iter().flatten());
            listener.opener.iter().for_each(|owner| self.owner(owner));
        }
    }

    /// What is left, as caveats say it.
    #[must_use]
    pub fn absent(&self, whole: Whole) -> Vec<Absent> {
        let pids: Vec<_> = self.pids.iter().map(|pid| (*pid, None)).collect();
        let comms = &self.comms;
        let values = [
            (!pids.is_empty()).then_some(Values::Processes(pids)),
            (!comms.is_empty()).then(|| Values::Names(comms.clone())),
            self.netns.map(Values::Netns),
            self.cgroup.clone().map(Values::Cgroup),
        ];
        let values = values.into_iter().flatten();
        values.map(|values| Absent { values, whole }).collect()
    }

    /// Keeps what still nothing has; `None` if that is none of it.
    #[must_use]
    pub fn still(&self, absent: Absent) -> Option<Absent> {
        let values = match absent.values {
            Values::Processes(mut pids) => {
                pids.retain(|(pid, _)| self.pids.contains(pid));
                Values::Processes(pids)
            }
            Values::Names(mut names) => {
                names.retain(|name| self.comms.contains(name));
                Values::Names(names)
            }
            Values::Netns(inode) if self.netns != Some(inode) => return None,
            Values::Cgroup(path) if self.cgroup.as_ref() != Some(&path) => return None,
            other => other,
        };
        let still = Absent { values, ..absent };
        (still.count() > 0).then_some(still)
    }
}

/// Whether these are all values that the filter has for the option: then nothing can pass it.
#[must_use]
pub fn is_all_of(absent: &Absent, filter: &Filter) -> bool {
    let all = Unmatched::new(filter);
    let most = match absent.values {
        Values::Processes(_) => all.pids.len(),
        Values::Names(_) => all.comms.len(),
        Values::Netns(_) | Values::Cgroup(_) => 1,
    };
    absent.count() >= most
}

#[cfg(test)]
mod tests {
    use tcptrace_common::TcpState;

    use super::*;
    use crate::fixtures::{NETNS, busy_look, transition};

    fn filter() -> Filter {
        Filter {
            pids: vec![7, 4300, 7],
            comms: vec!["nobody".into(), "nginx".into()],
            netns: Some(NETNS),
            cgroup: Some("/no/such".into()),
            ..Filter::default()
        }
    }

    fn kinds(unmatched: &Unmatched) -> Vec<Values> {
        let absent = unmatched.absent(Whole::Machine).into_iter();
        absent.map(|one| one.values).collect()
    }

    #[test]
    fn what_a_look_shows_is_not_absent() {
        let mut unmatched = Unmatched::new(&filter());
        assert_eq!(unmatched.pids, [7, 4300], "each once");
        unmatched.see_look(&busy_look());
        let left = [
            Values::Processes(vec![(7, None)]),
            Values::Names(vec!["nobody".into()]),
            Values::Cgroup("/no/such".into()),
        ];
        assert_eq!(kinds(&unmatched), left);
    }

    #[test]
    fn what_a_record_says_is_not_absent() {
        let record = |cookie| {
            Record::Transition(transition(
                cookie,
                TcpState::Established,
                TcpState::CloseWait,
                5,
            ))
        };
        let mut unmatched = Unmatched::new(&Filter {
            pids: vec![4242],
            comms: vec!["java".into()],
            netns: Some(NETNS),
            cgroup: Some(String::new()),
            ..Filter::default()
        });
        assert_eq!(kinds(&unmatched).len(), 4);
        unmatched.see_record(&record(1));
        assert!(unmatched.is_empty(), "{unmatched:?}");
    }

    #[test]
    fn only_all_values_of_an_option_leave_nothing() {
        let mut unmatched = Unmatched::new(&filter());
        let all = unmatched.absent(Whole::Machine);
        assert!(all.iter().all(|absent| is_all_of(absent, &filter())));
        unmatched.see_look(&busy_look());
        let left = unmatched.absent(Whole::Machine);
        let certain: Vec<_> = left.iter().map(|one| is_all_of(one, &filter())).collect();
        assert_eq!(certain, [false, false, true]);
        let still = |absent: Absent| unmatched.still(absent);
        let again: Vec<_> = all.into_iter().filter_map(still).collect();
        assert_eq!(again, left);
    }
}
