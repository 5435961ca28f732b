//! Filters on this machine: names are looked up, and what nothing has is said: as an error where that is
//! certain, as a caveat where something may still come.

use std::collections::{BTreeSet, HashSet};

use crate::{
    model::{
        caveat::Caveat,
        filter::{
            Filter,
            absent::{Absent, Values, Whole},
            unmatched::is_all_of,
        },
        request::{Filters, Netns, UsageError},
        stuck::{look::Look, snapshot::Snapshot},
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
            clean(&absent::text(&absent))
        ),
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

/// The same for a single look. `matched`: whether anything passed the filter; `held`: names of processes
/// that have such sockets.
///
/// # Errors
/// When nothing passed, and nothing could, because no value of an option exists.
pub fn of_one_look(
    presence: &mut Presence,
    filter: &Filter,
    matched: bool,
    held: &[String],
) -> Result<Vec<Caveat>, UsageError> {
    let absent = presence.absent();
    let certain = |one: &&Absent| one.whole == Whole::Machine && is_all_of(one, filter);
    if let Some(one) = absent.iter().find(certain).filter(|_| !matched) {
        let mut reason = clean(&absent::text(one));
        if matches!(one.values, Values::Names(_)) {
            propose(&mut reason, "names like it", presence.alike.iter());
            propose(&mut reason, "such sockets are held by", held.iter());
        }
        return Err(UsageError::Value {
            option: one.option(),
            value: one.first(),
            reason,
        });
    }
    Ok(absent.into_iter().map(Caveat::Absent).collect())
}

/// Adds a line with the first of the names, if there are any.
fn propose<'a>(reason: &mut String, what: &str, names: impl Iterator<Item = &'a String> + Clone) {
    let count = names.clone().count();
    let named: Vec<_> = names.take(PROPOSED).map(|name| clean(name)).collect();
    if count > 0 {
        let more = count.saturating_sub(PROPOSED);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        *reason += &format!("\n  {what}: {}{more}", named.join(", "));
    }
}

/// Whether anything is in the snapshot.
pub fn any_in(snapshot: &Snapshot) -> bool {
    let dead = [&snapshot.residue, &snapshot.failed_connects];
    let mut dead = dead.into_iter().flatten();
    !snapshot.sockets.is_empty() || snapshot.younger.count > 0 || dead.any(|all| !all.is_empty())
}

/// The names of the processes that have open what a look lists, if they are needed: if a name has not
/// been seen yet.
pub fn held_by(presence: &Presence, look: &Look) -> Vec<String> {
    let needed = !presence.unmatched.comms.is_empty();
    let held = look.held.iter().filter(|_| needed);
    let all = held.flat_map(|held| {
        let listed = look.listed.iter();
        listed.flat_map(|socket| held.of(socket.details.inode))
    });
    let names: BTreeSet<&str> = all.map(|held| &*held.holder.comm).collect();
    names.into_iter().map(String::from).collect()
}
