//! Whether the control group of a process is frozen: then none of its threads runs, and none ends by
//! itself. Their states do not tell: the kernel shows them as asleep (cgroup v2), or as waiting for a disk (v1).

use std::{
    collections::HashMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use procfs::ProcessCGroup;

use crate::source::machine::cgroup;

/// What is found out about groups during one look.
#[derive(Debug, Default)]
pub struct Freezer {
    /// By whether the group is one of cgroup v1, and its path.
    known: HashMap<(bool, String), Option<bool>>,
    /// The hierarchy of cgroup v1 that freezes: looked for at most once.
    mount: Option<Option<Mount>>,
}

/// A mounted hierarchy of cgroup v1.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    /// The group that is mounted.
    root: String,
    /// Where.
    at: PathBuf,
}

impl Freezer {
    /// Whether a process in these groups is frozen; `None` if that cannot be found out.
    pub fn freezes(&mut self, groups: &[ProcessCGroup]) -> Option<bool> {
        let all: Vec<_> = groups.iter().filter_map(|group| self.of(group)).collect();
        match all.contains(&Some(true)) {
            true => Some(true),
            false => (!all.contains(&None)).then_some(false),
        }
    }

    /// Whether the group is frozen, if it is of a hierarchy that freezes.
    fn of(&mut self, group: &ProcessCGroup) -> Option<Option<bool>> {
        let is_old = match group.hierarchy {
            0 => false,
            _ if group.controllers.iter().any(|name| name == "freezer") => true,
            _ => return None,
        };
        let key = (is_old, group.pathname.clone());
        if let Some(known) = self.known.get(&key) {
            return Some(*known);
        }
        let found = if group.pathname == "/" && cgroup::in_initial_namespace() {
            // The root cannot be frozen.
            Some(false)
        } else if is_old {
            self.old(&group.pathname)
        } else {
            unified(&group.pathname)
        };
        self.known.insert(key, found);
        Some(found)
    }

    fn old(&mut self, path: &str) -> Option<bool> {
        let mount = self.mount.get_or_insert_with(|| {
            let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
            mounts.lines().find_map(freezing)
        });
        said(
            &directory(mount.as_ref()?, path)?,
            "freezer.state",
            old_state,
        )
    }
}

/// The group at `path` in the unified hierarchy.
fn unified(path: &str) -> Option<bool> {
    said(
        &cgroup::directory(&cgroup::absolute(path)?)?,
        "cgroup.events",
        events,
    )
}

/// What the file with this name in the directory of a group says. A hierarchy's root, which cannot be frozen, is the
/// only group that has none.
fn said(group: &Path, name: &str, read: fn(&str) -> Option<bool>) -> Option<bool> {
    match fs::read_to_string(group.join(name)) {
        Ok(text) => read(&text),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            group.join("cgroup.procs").exists().then_some(false)
        }
        Err(_) => None,
    }
}

/// What `cgroup.events` says: also of a group above which one is frozen
/// (`Documentation/admin-guide/cgroup-v2.rst`).
fn events(text: &str) -> Option<bool> {
    let value = text.lines().find_map(|line| line.strip_prefix("frozen "));
    match value? {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// What `freezer.state` says: likewise (`Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst`).
fn old_state(text: &str) -> Option<bool> {
    match text.trim_end() {
        "FROZEN" => Some(true),
        "FREEZING" | "THAWED" => Some(false),
        _ => None,
    }
}

/// The mount in a line of `mountinfo`, if it is one of the cgroup v1 hierarchy that freezes. Form:
/// `Documentation/filesystems/proc.rst`, section 3.5.
fn freezing(line: &str) -> Option<Mount> {
    let (mount, kind) = line.split_once(" - cgroup ")?;
    let options = kind.split_once(' ')?.1;
    let mut fields = mount.split(' ').skip(3);
    let (root, at) = (fields.next()?, fields.next()?);
    // What is escaped is not read: then it is unknown.
    let freezes = options.split(',').any(|option| option == "freezer");
    (freezes && !line.contains('\\')).then(|| Mount {
        root: root.into(),
        at: at.into(),
    })
}

/// The directory of the group at `path`, which like the mount's root begins at the root of the cgroup namespace;
/// `None` if it is not below the mount.
fn directory(mount: &Mount, path: &str) -> Option<PathBuf> {
    let below = Path::new(path).strip_prefix(&mount.root).ok()?;
    let leaves = below.components().any(|part| part.as_os_str() == "..");
    (!leaves).then(|| mount.at.join(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_root_has_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let said = || said(folder.path(), "cgroup.events", events);
        // It is no group.
        assert_eq!(said(), None);
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("it can be written");
        };
        write("cgroup.procs", "");
        assert_eq!(said(), Some(false));
        write("cgroup.events", "populated 1\nfrozen 1\n");
        assert_eq!(said(), Some(true));
        write("cgroup.events", "?");
        assert_eq!(said(), None);
    }

    #[test]
    fn the_unified_hierarchy_says_0_or_1() {
        assert_eq!(events("populated 1\nfrozen 1\n"), Some(true));
        assert_eq!(events("frozen 0\npopulated 1\n"), Some(false));
        for unknown in ["", "populated 1\n", "frozen 2\n", "unfrozen 1\n"] {
            assert_eq!(events(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn the_old_hierarchy_says_it_in_words() {
        assert_eq!(old_state("FROZEN\n"), Some(true));
        // Some of its threads still run.
        assert_eq!(old_state("FREEZING\n"), Some(false));
        assert_eq!(old_state("THAWED\n"), Some(false));
        assert_eq!(old_state(""), None);
    }

    #[test]
    fn the_old_hierarchy_is_found_among_the_mounts() {
        let line = |kind: &str, options: &str| {
            format!("36 25 0:30 /a /sys/fs/cgroup/f rw,freezer shared:9 - {kind} cgroup {options}")
        };
        let mount = freezing(&line("cgroup", "rw,freezer")).expect("it freezes");
        assert_eq!(mount.at, Path::new("/sys/fs/cgroup/f"));
        assert_eq!(freezing(&line("cgroup", "rw,cpu")), None);
        assert_eq!(freezing(&line("cgroup2", "rw,freezer")), None);
        assert_eq!(
            freezing("36 25 0:30 / /f\\040 rw - cgroup cgroup rw,freezer"),
            None
        );
        let at = |path: &str| directory(&mount, path);
        assert_eq!(at("/a"), Some("/sys/fs/cgroup/f/".into()));
        assert_eq!(at("/a/b/c"), Some("/sys/fs/cgroup/f/b/c".into()));
        for outside in ["/", "/ab", "/a/../b", "/../a"] {
            assert_eq!(at(outside), None, "{outside}");
        }
    }

    fn group(hierarchy: u32, controllers: &[&str], path: &str) -> ProcessCGroup {
        ProcessCGroup {
            hierarchy,
            controllers: controllers.iter().map(ToString::to_string).collect(),
            pathname: path.into(),
        }
    }

    #[test]
    fn one_frozen_group_is_enough_and_one_unknown_is_too_much() {
        let mut freezer = Freezer::default();
        for (is_old, path, found) in [
            (false, "/frozen", Some(true)),
            (false, "/runs", Some(false)),
            (true, "/runs", Some(false)),
            (true, "/unknown", None),
        ] {
            freezer.known.insert((is_old, path.into()), found);
        }
        let (cpu, runs) = (
            group(3, &["cpu"], "/frozen"),
            group(2, &["freezer"], "/runs"),
        );
        let frozen = group(0, &[], "/frozen");
        let mut freezes = |groups: &[&ProcessCGroup]| {
            let groups: Vec<_> = groups.iter().copied().cloned().collect();
            freezer.freezes(&groups)
        };
        assert_eq!(freezes(&[&cpu, &runs, &frozen]), Some(true));
        assert_eq!(
            freezes(&[&cpu, &runs, &group(0, &[], "/runs")]),
            Some(false)
        );
        let unknown = group(2, &["freezer"], "/unknown");
        assert_eq!(freezes(&[&unknown, &group(0, &[], "/runs")]), None);
        assert_eq!(freezes(&[&unknown, &frozen]), Some(true));
        assert_eq!(freezes(&[]), Some(false));
    }
}
