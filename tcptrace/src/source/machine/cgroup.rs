//! From a control group's id to its path: the id is the inode number of its directory.

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Where the unified hierarchy is mounted: alone, or beside the cgroup v1 hierarchies.
const ROOTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// Only the unified hierarchy's root has this file.
const MARK: &str = "cgroup.controllers";

/// The inode number of the first directory in its filesystem.
const ROOT_ID: u64 = 1;

/// Paths by id, kept between looks.
#[derive(Debug, Default)]
pub struct Cgroups {
    known: HashMap<u64, String>,
    /// Ids that no directory has: removed groups, and those outside this cgroup namespace.
    missing: HashSet<u64>,
}

impl Cgroups {
    /// The paths of the groups with these ids, from the cgroup root; unknown ids are left out.
    pub fn paths(&mut self, ids: impl Iterator<Item = u64>) -> HashMap<u64, String> {
        let ids: HashSet<u64> = ids.collect();
        let unknown = |id: &&u64| !self.known.contains_key(id) && !self.missing.contains(id);
        if ids.iter().any(|id| unknown(&id)) {
            if let Some(root) = root() {
                self.walk(&root, &root);
            }
            let known = &self.known;
            self.missing
                .extend(ids.iter().filter(|id| !known.contains_key(id)));
        }
        let path = |id: u64| Some((id, self.known.get(&id)?.clone()));
        ids.into_iter().filter_map(path).collect()
    }

    /// The path of one group; this also finds groups that were created in the meantime.
    pub fn path(&mut self, id: u64) -> Option<&str> {
        if !self.known.contains_key(&id) && !self.missing.contains(&id) {
            if let Some(root) = root() {
                self.walk(&root, &root);
            }
            if !self.known.contains_key(&id) {
                self.missing.insert(id);
            }
        }
        self.known.get(&id).map(String::as_str)
    }

    fn walk(&mut self, root: &Path, directory: &Path) {
        let Ok(metadata) = fs::metadata(directory) else {
            return;
        };
        let below = directory.strip_prefix(root).unwrap_or(directory);
        let path = format!("/{}", below.display());
        self.known.insert(metadata.ino(), path);
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        for entry in entries {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.walk(root, &entry.path());
            }
        }
    }
}

/// Id and depth of the group at `path` (from the cgroup root), as the programs need them; `None` if
/// there is no such group, or if the visible root is not the machine's.
#[must_use]
pub fn id_and_level(path: &str) -> Option<(u64, u32)> {
    let root = root().filter(|_| sees_all())?;
    let id = fs::metadata(at(&root, path)).ok()?.ino();
    let level = path.split('/').filter(|part| !part.is_empty()).count();
    Some((id, u32::try_from(level).ok()?))
}

/// Ids of the group at `path` (from the cgroup root) and of those below it.
#[must_use]
pub fn ids_below(path: &str) -> Vec<u64> {
    let mut groups = Cgroups::default();
    if let Some(root) = root() {
        groups.walk(&root, &at(&root, path));
    }
    groups.known.into_keys().collect()
}

/// Whether the visible root is the machine's: in a cgroup namespace there may be groups outside of it.
#[must_use]
pub fn sees_all() -> bool {
    let root = root().and_then(|root| fs::metadata(root).ok());
    root.is_some_and(|root| root.ino() == ROOT_ID)
}

/// Whether there is a group at `path` (from the cgroup root) now.
#[must_use]
pub fn exists(path: &str) -> bool {
    root().is_some_and(|root| at(&root, path).is_dir())
}

/// The path from the cgroup root of the group that the user gives. It need not exist: it may be made
/// later.
///
/// # Errors
/// When it can be none; the message says why.
pub fn named(path: &str) -> Result<String, String> {
    let Some(root) = root() else {
        let [alone, beside] = ROOTS;
        return Err(format!(
            "no cgroup v2 hierarchy is mounted at {alone} or {beside}, so no socket's control group \
             is known"
        ));
    };
    // With the mount point before it.
    let beside = path.strip_prefix("/unified");
    let beside = beside.filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let path = match beside {
        Some(rest) if root == Path::new(ROOTS[1]) && !at(&root, path).exists() => rest,
        _ => path,
    };
    let found = at(&root, path);
    if found.exists() && !found.is_dir() {
        return Err("it is a file: give the control group's directory".into());
    }
    if !found.exists() && root != Path::new(ROOTS[0]) && at(Path::new(ROOTS[0]), path).exists() {
        return Err(format!(
            "it is not in the cgroup v2 hierarchy, which is mounted at {}: give the path in it, as in \
             the line of /proc/PID/cgroup that begins with 0::",
            root.display()
        ));
    }
    Ok(path.to_owned())
}

fn at(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Where the unified hierarchy is mounted, if it is.
#[must_use]
pub fn root() -> Option<PathBuf> {
    let roots = ROOTS.iter().map(PathBuf::from);
    roots.into_iter().find(|root| root.join(MARK).exists())
}
