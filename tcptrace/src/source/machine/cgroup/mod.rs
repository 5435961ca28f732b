//! Control groups of the unified hierarchy: from an id to a path and back. A group's id is the inode number
//! of its directory.
//!
//! Paths are from the machine's root, which is reached from a cgroup namespace, too, if anything leads there.
//! Otherwise they are from the namespace's root, and [`caveat`] says so.

mod by_number;
mod directory;
mod elsewhere;
mod recent;
mod view;

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tcptrace_common::TrackSettings;

pub use self::recent::Recent;
use self::view::{Way, view};
use crate::model::{caveat::Caveat, recording::CgroupsFrom};

/// Where the unified hierarchy is most often mounted: alone, or beside the cgroup v1 hierarchies.
const ROOTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// Paths of so many groups are kept at least.
const KEPT: usize = 1 << 16;
/// Where groups cannot be asked for by their numbers, all are walked over: how many times as long as that took
/// is the rest until the next walk.
const REST: u32 = 9;

/// Paths by id, kept between looks. The path of a group never changes, and its id is not used again.
#[derive(Debug)]
pub struct Cgroups {
    /// `None` for a group that was removed.
    known: Recent<u64, Option<Arc<str>>>,
    next_walk: Instant,
}

impl Default for Cgroups {
    fn default() -> Self {
        Self {
            known: Recent::new(KEPT),
            next_walk: Instant::now(),
        }
    }
}

impl Cgroups {
    /// The paths of the groups with these ids; unknown ids are left out.
    pub fn paths(&mut self, ids: impl Iterator<Item = u64>) -> HashMap<u64, String> {
        let ids: HashSet<u64> = ids.collect();
        let path = |id: u64| Some((id, self.path(id)?.to_string()));
        ids.into_iter().filter_map(path).collect()
    }

    /// The path of one group; this also finds groups that were created in the meantime. `None` if it was removed,
    /// or cannot be looked up now.
    pub fn path(&mut self, id: u64) -> Option<Arc<str>> {
        self.look_up(id).flatten()
    }

    /// Likewise; `None` if it cannot be looked up now, and `Some(None)` if it was removed or cannot be reached.
    pub fn look_up(&mut self, id: u64) -> Option<Option<Arc<str>>> {
        if let Some(known) = self.known.get(id) {
            return Some(known);
        }
        let found = match view()?.by_number(id) {
            Ok(path) => path.map(Arc::from),
            Err(_) => self.walk_for(id)?,
        };
        self.known.insert(id, found.clone());
        Some(found)
    }

    /// How long nothing can be looked up.
    #[must_use]
    pub fn rest(&self) -> Duration {
        self.next_walk.saturating_duration_since(Instant::now())
    }

    /// Looks for a group among all; `None` if that has just been done for another.
    fn walk_for(&mut self, wanted: u64) -> Option<Option<Arc<str>>> {
        let began = Instant::now();
        if began < self.next_walk {
            return None;
        }
        let (mut found, mut room) = (None, KEPT);
        view()?.walk("/", |id, path| {
            let path: Arc<str> = path.into();
            if id == wanted {
                found = Some(Arc::clone(&path));
            }
            // More would push out what was found first.
            if room > 0 {
                room -= 1;
                self.known.insert(id, Some(path));
            }
        });
        self.next_walk = Instant::now() + began.elapsed().saturating_mul(REST);
        Some(found)
    }
}

/// Id and depth of the group at `path`, as the programs need them; `None` if there is no such group. Where
/// the depth is not known, because the machine's root cannot be reached, the programs take a list.
#[must_use]
pub fn id_and_level(path: &str) -> Option<(u64, u32)> {
    let view = view()?;
    let id = view.id_of(path)?;
    let level = path.split('/').filter(|part| !part.is_empty()).count();
    match view.from_machine_root {
        true => Some((id, u32::try_from(level).ok()?)),
        false => Some((id, TrackSettings::BY_LIST)),
    }
}

/// Ids of the group at `path` and of those below it.
#[must_use]
pub fn ids_below(path: &str) -> Vec<u64> {
    let mut ids = Vec::new();
    if let Some(view) = view() {
        view.walk(path, |id, _| ids.push(id));
    }
    ids
}

/// Finds the part of the hierarchy that can be reached, where that may take a mount: for who cannot mount later.
pub fn find_by_mounting() {
    if !elsewhere::is_initial() {
        view();
    }
}

/// Whether every group of the machine can be reached.
#[must_use]
pub fn sees_all() -> bool {
    view().is_some_and(view::View::is_whole)
}

/// Whether there is a group at `path` now.
#[must_use]
pub fn exists(path: &str) -> bool {
    view().is_some_and(|view| view.id_of(path).is_some())
}

/// A path of a file system that leads to the group at `path`, with the files by which the kernel describes
/// it; `None` if there is no such group, or it cannot be reached.
#[must_use]
pub fn directory(path: &str) -> Option<PathBuf> {
    view()?.directory(path)
}

/// The path of the group that a line of `/proc/PID/cgroup` shows, which begins at the root of this cgroup
/// namespace. Where the machine's root cannot be reached, that of a group outside of the namespace begins
/// with `/..`; `None` if nothing tells where it is.
#[must_use]
pub fn absolute(path: &str) -> Option<String> {
    view().map_or_else(|| Some(path.to_owned()), |view| view.absolute(path))
}

/// Where paths begin; `None` if there is no hierarchy.
#[must_use]
pub fn paths_from() -> Option<CgroupsFrom> {
    view().map(|view| match view.from_machine_root {
        true => CgroupsFrom::Machine,
        false => CgroupsFrom::Namespace,
    })
}

/// Whether this process is in the machine's initial cgroup namespace.
#[must_use]
pub fn in_initial_namespace() -> bool {
    elsewhere::is_initial()
}

/// What to say about paths of groups, unless they are from the machine's root and every group can be
/// reached. `unknown`: how many groups have no path for this reason, if that is known.
#[must_use]
pub fn caveat(unknown: Option<u64>) -> Option<Caveat> {
    let view = view().filter(|view| !view.is_whole())?;
    Some(Caveat::UnreachedControlGroups {
        from_machine_root: view.from_machine_root,
        top: view.top_path(),
        unknown,
    })
}

/// How control groups are reached, in words; `None` if there are none.
#[must_use]
pub fn describe() -> Option<String> {
    let view = view()?;
    Some(match &view.way {
        Way::Mounted(point) => point.display().to_string(),
        Way::Number => "the machine's root, found by its number".into(),
        Way::Process(process) => {
            let root = process.join("root");
            format!("the machine's root, found below {}", root.display())
        }
    })
}

/// The path of the group that the user gives. It need not exist: it may be made later.
///
/// # Errors
/// When it can be none; the message says why.
pub fn named(path: &str) -> Result<String, String> {
    let [alone, beside] = ROOTS;
    let Some(view) = view() else {
        return Err(format!(
            "no cgroup v2 hierarchy is mounted at {alone} or {beside}, so no socket's control group \
             is known"
        ));
    };
    let is_beside = view.mount.as_deref() == Some(Path::new(beside));
    // With the mount point before it.
    let rest = path.strip_prefix("/unified");
    let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let path = match rest {
        Some(rest) if is_beside && !exists(path) => rest,
        _ => path,
    };
    if view.is_file(path) {
        return Err("it is a file: give the control group's directory".into());
    }
    if exists(path) {
        return Ok(path.to_owned());
    }
    if let Some(other) = view.in_own_namespace(path).filter(|other| exists(other)) {
        return Err(format!(
            "paths are from the machine's root, where there is none; in the cgroup namespace that \
             tcptrace runs in there is one: give {other}"
        ));
    }
    if is_beside && at(Path::new(alone), path).exists() {
        return Err(format!(
            "it is not in the cgroup v2 hierarchy, which is mounted at {beside}: give the path in it, \
             as in the line of /proc/PID/cgroup that begins with 0::"
        ));
    }
    Ok(path.to_owned())
}

fn at(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}
