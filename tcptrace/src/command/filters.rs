//! Filters on this machine: names are looked up, and what nothing has is said: as an error where that is
//! certain, as a caveat where something may still come.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::{
    diagnosis::stuck::{snapshot::snapshot, tracker::Tracker},
    model::{
        caveat::Caveat,
        filter::{
            Filter,
            absent::{Absent, Values, Whole},
            unmatched::is_all_of,
        },
        request::{Filters, Netns, UsageError},
        stuck::{
            look::Look,
            snapshot::{Snapshot, Watched},
        },
    },
    source::machine::{
        cgroup, netns,
        presence::{self, Presence},
    },
    view::parts::{absent, clean::clean},
};

/// How many names an error proposes.
const PROPOSED: usize = 8;

/// The filters, with the names of a namespace and of a control group looked up on this machine.
///
/// # Errors
/// When there is no such namespace, or no control group can have the path.
pub fn resolve(filters: &Filters) -> Result<Filter, UsageError> {
    let refused = |option, value: &str, reason: String| UsageError::Value {
        option,
        value: value.to_owned(),
        reason: clean(&reason),
        more: Vec::new(),
        advice: None,
    };
    let netns = match &filters.netns {
        None => None,
        Some(Netns::Inode(inode)) => Some(*inode),
        Some(Netns::Name(name)) => {
            Some(netns::named(name).map_err(|reason| refused("netns", name, reason))?)
        }
    };
    let cgroup = match &filters.cgroup {
        None => None,
        Some(path) => {
            let shown = if path.is_empty() { "/" } else { path };
            Some(cgroup::named(path).map_err(|reason| refused("cgroup", shown, reason))?)
        }
    };
    Ok(Filter {
        cgroup,
        ..filters.resolved(netns)
    })
}

/// Checks that the control group exists, for a command in which only the kernel applies the filter: it
/// needs the group's id at the start.
///
/// # Errors
/// When there is none.
pub fn needs_group(filter: &Filter) -> Result<(), UsageError> {
    let path = filter.cgroup.as_ref();
    let Some(path) = path.filter(|path| !cgroup::exists(path)) else {
        return Ok(());
    };
    let absent = Absent {
        values: Values::Cgroup(path.clone()),
        whole: presence::groups(),
    };
    Err(UsageError::Value {
        option: absent.option(),
        value: absent.first(),
        reason: format!(
            "{}, and the kernel, which applies this filter, needs it at the start",
            clean(&absent::reason(&absent))
        ),
        more: Vec::new(),
        advice: Some("tcptrace stuck, where a group may come later".into()),
    })
}

/// What is to be said about paths of control groups, if one is `shown` or the filter has one.
pub fn about_groups(filter: &Filter, shown: bool, unknown: Option<u64>) -> Option<Caveat> {
    let needed = shown || filter.cgroup.is_some();
    cgroup::caveat(unknown).filter(|_| needed)
}

/// The same of a look at stuck sockets. `json`: whether it shows the groups of sockets, and not those of processes.
pub fn about_groups_of(filter: &Filter, look: &Look, json: bool) -> Vec<Caveat> {
    let ids = look.listed.iter().filter_map(|one| one.details.cgroup_id);
    let ids: HashSet<u64> = ids.collect();
    let unknown = ids.iter().filter(|id| !look.cgroups.contains_key(id));
    let unknown = unknown.count() as u64;
    let shown = !ids.is_empty() || look.processes.values().any(|one| one.cgroup.is_some());
    let unreached = about_groups(filter, shown, Some(unknown));
    let needed = json || filter.cgroup.is_some();
    let removed = (needed && unreached.is_none() && unknown > 0)
        .then_some(Caveat::UnknownControlGroups(unknown));
    unreached.into_iter().chain(removed).collect()
}

/// What nothing on this machine has, for a session: it may still come.
pub fn caveats(presence: &mut Presence) -> impl Iterator<Item = Caveat> + use<> {
    presence.absent().into_iter().map(Caveat::Absent)
}

/// The same for a single look of a `command`. `matched`: whether anything passed the filter; `others`: what is stuck
/// without it.
///
/// # Errors
/// When nothing passed, and nothing could, because no value of an option exists.
pub fn of_one_look(
    presence: &mut Presence,
    filter: &Filter,
    matched: bool,
    command: &str,
    others: impl FnOnce() -> Option<Others>,
) -> Result<Vec<Caveat>, UsageError> {
    let absent = presence.absent();
    let certain = |one: &&Absent| one.whole == Whole::Machine && is_all_of(one, filter);
    if let Some(one) = absent.iter().find(certain).filter(|_| !matched) {
        let others = others();
        let alike = match one.values {
            Values::Names(_) => presence.alike.iter().collect(),
            _ => Vec::new(),
        };
        let mut more = Vec::new();
        if !alike.is_empty() {
            more.push(format!("names like it: {}", first_of(&alike)));
        }
        more.extend(others.as_ref().map(Others::text));
        let name = alike.first().map(|name| (*name).clone());
        let name = name.or_else(|| others.as_ref().and_then(Others::largest));
        return Err(UsageError::Value {
            option: one.option(),
            value: one.given(),
            reason: clean(&absent::reason(one)),
            more,
            advice: Some(match (one.thread_of(), name) {
                (Some(pid), _) => format!("{command} --pid {pid}"),
                (None, Some(name)) => format!("{command} --comm {}", in_shell(&name)),
                (None, None) => format!("{command} without --once, which waits until it comes"),
            }),
        });
    }
    Ok(absent.into_iter().map(Caveat::Absent).collect())
}

/// The first of the names, and how many there are beside them.
fn first_of(names: &[&String]) -> String {
    let named: Vec<_> = names
        .iter()
        .take(PROPOSED)
        .map(|name| clean(name))
        .collect();
    let more = match names.len().saturating_sub(PROPOSED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", named.join(", "))
}

/// The name as one word of a command line.
fn in_shell(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@+".contains(c);
    match !name.is_empty() && name.chars().all(is_plain) {
        true => name.to_owned(),
        false => format!("'{}'", clean(name).replace('\'', r"'\''")),
    }
}

/// What is stuck without the filter.
pub struct Others {
    sockets: usize,
    /// The processes that hold them, by name, with the number of sockets.
    names: BTreeMap<String, (BTreeSet<u32>, usize)>,
}

impl Others {
    /// What a look shows without a filter; `None` if nothing is stuck in it.
    pub fn of(look: Look, watched: &Watched) -> Option<Self> {
        let unfiltered = Watched {
            filter: Filter::default(),
            filters: Filters::default(),
            ..watched.clone()
        };
        let all = snapshot(look, &mut Tracker::once(watched.state), &unfiltered);
        let mut names = BTreeMap::<_, (BTreeSet<u32>, usize)>::new();
        for socket in all.sockets.iter().take(all.stuck) {
            for holder in socket.holders.iter().flatten() {
                let (pids, count) = names.entry(holder.comm.to_string()).or_default();
                pids.insert(holder.pid);
                *count += 1;
            }
        }
        Some(Self {
            sockets: all.stuck(),
            names,
        })
        .filter(|others| others.sockets > 0)
    }

    /// Of how many sockets, and whose.
    fn text(&self) -> String {
        let processes: usize = self.names.values().map(|(pids, _)| pids.len()).sum();
        let number = |count: usize, one: &str, more: &str| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {more}"),
        };
        let sockets = number(self.sockets, "socket", "sockets");
        let verb = if self.sockets == 1 { "is" } else { "are" };
        if processes == 0 {
            return format!("{sockets} of unknown processes {verb} stuck");
        }
        let names: Vec<String> = self
            .names
            .iter()
            .map(|(name, (pids, _))| match pids.len() {
                1 => name.clone(),
                several => format!("{name} ({several})"),
            })
            .collect();
        format!(
            "{sockets} of {} {verb} stuck: {}",
            number(processes, "other process", "other processes"),
            first_of(&names.iter().collect::<Vec<_>>())
        )
    }

    /// The name of the processes that hold the most of them, of several the first.
    fn largest(&self) -> Option<String> {
        let names = self.names.iter().rev();
        let largest = names.max_by_key(|(_, (_, count))| *count);
        largest.map(|(name, _)| name.clone())
    }
}

/// Whether anything is in the snapshot.
pub fn any_in(snapshot: &Snapshot) -> bool {
    let dead = [&snapshot.residue, &snapshot.failed_connects];
    let mut dead = dead.into_iter().flatten();
    !snapshot.sockets.is_empty() || snapshot.younger.count > 0 || dead.any(|all| !all.is_empty())
}
