//! The part of the unified hierarchy that can be reached, and from where its paths begin.

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs,
    ops::ControlFlow,
    os::{fd::AsRawFd as _, unix::ffi::OsStringExt as _},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use super::{
    by_number::{self, Found},
    directory::Directory,
    elsewhere,
};
use crate::source::machine::mountinfo;

/// How its topmost directory was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Way {
    /// It is mounted here.
    Mounted(PathBuf),
    /// By its number, through another directory.
    Number,
    /// In the mounts of this process (`/proc/PID`).
    Process(PathBuf),
}

/// The part of the unified hierarchy that can be reached.
#[derive(Debug)]
pub struct View {
    top: Directory,
    /// How it was found.
    pub way: Way,
    /// Where this process's own mounts show a part of the hierarchy.
    pub mount: Option<PathBuf>,
    /// The path of the topmost directory, from where paths begin: "" if it is there itself.
    above: PathBuf,
    /// The path of the root of this cgroup namespace, from where paths begin; `None` if it is not known.
    own: Option<String>,
    /// Whether paths begin at the machine's root; otherwise at the root of this cgroup namespace.
    pub from_machine_root: bool,
}

/// A group cannot be asked for by its number.
#[derive(Debug)]
pub struct Refused;

/// What can be reached: found once, and remembered. `None` if there is nothing.
pub fn view() -> Option<&'static View> {
    static VIEW: OnceLock<Option<View>> = OnceLock::new();
    VIEW.get_or_init(View::find).as_ref()
}

/// A part of the hierarchy that this process has mounted.
struct Part {
    directory: Directory,
    /// `None` if it is mounted nowhere, but open.
    point: Option<PathBuf>,
    /// Its path from the root of this cgroup namespace, with `/..` before it if it is outside.
    root: Vec<u8>,
}

impl View {
    fn find() -> Option<Self> {
        let initial = elsewhere::is_initial();
        let mut parts = mounted();
        let shows_own = |parts: &[Part]| parts.iter().any(|part| part.root == b"/");
        if !initial && !shows_own(&parts) {
            parts.extend(detached());
        }
        let own = parts.iter().find(|part| part.root == b"/");
        let own = own.and_then(|part| part.directory.id());
        let mount = parts.iter().find_map(|part| part.point.clone());
        if let Some(index) = parts.iter().position(|part| part.directory.is_root()) {
            let part = parts.swap_remove(index);
            let way = part.point.map_or(Way::Number, Way::Mounted);
            return Some(Self::whole(part.directory, way, mount, initial, own));
        }
        let by_number = || {
            let found = (parts.iter()).find_map(|part| by_number::root(&part.directory));
            found.map(|top| (top, Way::Number))
        };
        let by_process = || {
            let found = elsewhere::by_process();
            found.map(|(process, top)| (top, Way::Process(process)))
        };
        if let Some((top, way)) = by_number().or_else(by_process) {
            return Some(Self::whole(top, way, mount, initial, own));
        }
        let inside = |part: &Part| !part.root.starts_with(b"/..");
        let largest = parts.into_iter().filter(inside);
        let part = largest.min_by_key(|part| part.root.len())?;
        let above = part.root.strip_prefix(b"/").unwrap_or(&part.root);
        Some(Self {
            top: part.directory,
            way: part.point.map_or(Way::Number, Way::Mounted),
            mount,
            above: OsString::from_vec(above.to_vec()).into(),
            own: Some(String::new()),
            from_machine_root: initial,
        })
    }

    fn whole(
        top: Directory,
        way: Way,
        mount: Option<PathBuf>,
        initial: bool,
        own: Option<u64>,
    ) -> Self {
        let own = match (initial, own) {
            (true, _) => Some(String::new()),
            (false, own) => own.and_then(|id| path_of(&top, id)),
        };
        Self {
            top,
            way,
            mount,
            above: PathBuf::new(),
            own,
            from_machine_root: true,
        }
    }

    /// Whether every group of the machine can be reached.
    pub fn is_whole(&self) -> bool {
        self.top.is_root()
    }

    /// The path of the topmost directory, from where paths begin.
    pub fn top_path(&self) -> String {
        shown(&self.above)
    }

    /// From the path of a group the one from the topmost directory; `None` if it is not below that.
    fn below(&self, path: &str) -> Option<PathBuf> {
        let path = Path::new(path.trim_start_matches('/'));
        Some(path.strip_prefix(&self.above).ok()?.to_owned())
    }

    /// The id of the group at `path`, if there is one.
    pub fn id_of(&self, path: &str) -> Option<u64> {
        self.top.id_at(&self.below(path)?)
    }

    /// Whether there is something else than a group at `path`.
    pub fn is_file(&self, path: &str) -> bool {
        self.below(path).is_some_and(|path| self.top.is_file(&path))
    }

    /// A path of a file system that leads to the group at `path`, if there is one.
    pub fn directory(&self, path: &str) -> Option<PathBuf> {
        let below = self.below(path)?;
        self.top.id_at(&below)?;
        let top = match &self.way {
            Way::Mounted(point) => point.clone(),
            Way::Number | Way::Process(_) => self.top.path(),
        };
        Some(top.join(below))
    }

    /// The path of the group with this id, asked for by its number; that must be refused where not every group
    /// can be reached.
    pub fn by_number(&self, id: u64) -> Result<Option<String>, Refused> {
        if !self.is_whole() {
            return Err(Refused);
        }
        match by_number::find(&self.top, id) {
            Found::At(path) => Ok(Some(shown(&path))),
            Found::Gone => Ok(None),
            Found::Refused => Err(Refused),
        }
    }

    /// Gives the ids and paths of the group at `path` and of those below it to `each`.
    pub fn walk(&self, path: &str, mut each: impl FnMut(u64, String)) {
        let Some(below) = self.below(path) else {
            return;
        };
        self.top.walk(&below, |id, path| {
            each(id, shown(&self.above.join(path)));
            ControlFlow::Continue(())
        });
    }

    /// From a path as `/proc/PID/cgroup` shows it, the one from where paths begin. Of a group that is
    /// outside of what can be reached the path begins with `/..`; `None` if nothing tells where it is.
    pub fn absolute(&self, path: &str) -> Option<String> {
        absolute(self.own.as_deref()?, path, !self.from_machine_root)
    }

    /// The path of the group that is at `path` for what this cgroup namespace shows, if that is another.
    pub fn in_own_namespace(&self, path: &str) -> Option<String> {
        let own = self.own.as_deref().filter(|own| !own.is_empty())?;
        Some(format!("{own}{path}"))
    }
}

/// `path`, which begins at `own`; `outside`: whether what leads beyond the root may be shown.
fn absolute(own: &str, path: &str, outside: bool) -> Option<String> {
    let mut parts: Vec<&str> = own.split('/').filter(|part| !part.is_empty()).collect();
    let mut up = 0;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if part != ".." {
            parts.push(part);
        } else if parts.pop().is_none() {
            up += 1;
        }
    }
    if up > 0 && !outside {
        return None;
    }
    let mut path = "/..".repeat(up);
    for part in &parts {
        // Writing to a string cannot fail.
        let _ = write!(path, "/{part}");
    }
    if path.is_empty() {
        path.push('/');
    }
    Some(path)
}

fn shown(path: &Path) -> String {
    format!("/{}", path.display())
}

fn path_of(top: &Directory, wanted: u64) -> Option<String> {
    let mut found = None;
    top.walk(Path::new(""), |id, path| {
        if id != wanted {
            return ControlFlow::Continue(());
        }
        found = Some(match path.as_os_str().is_empty() {
            true => String::new(),
            false => shown(path),
        });
        ControlFlow::Break(())
    });
    found
}

/// What this process has mounted. Of several mounts at one place only the last is reached by its path.
fn mounted() -> Vec<Part> {
    let mounts = mountinfo::of(Path::new("/proc/self"));
    let mut parts: Vec<Part> = Vec::new();
    for mount in mounts {
        parts.retain(|part| part.point.as_deref() != Some(&mount.point));
        if mount.kind == b"cgroup2"
            && let Some(directory) = Directory::at(&mount.point)
        {
            parts.push(Part {
                directory,
                point: Some(mount.point),
                root: mount.root,
            });
        }
    }
    parts
}

/// The root of this cgroup namespace, mounted nowhere. Only where the hierarchy is in use: its first mount
/// changes what `/proc/PID/cgroup` shows on the whole machine.
fn detached() -> Option<Part> {
    let groups = fs::read("/proc/self/cgroup").ok()?;
    let mut lines = groups.split(|byte| *byte == b'\n');
    lines.find(|line| line.starts_with(b"0::"))?;
    let kind = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC).ok()?;
    fsconfig_create(&kind).ok()?;
    let flags = MountAttrFlags::MOUNT_ATTR_RDONLY;
    let mount = fsmount(&kind, FsMountFlags::FSMOUNT_CLOEXEC, flags).ok()?;
    // The mount itself may only be used to find something.
    let path = format!("/proc/self/fd/{}", mount.as_raw_fd());
    Some(Part {
        directory: Directory::at(Path::new(&path))?,
        point: None,
        root: b"/".to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_from_where_the_namespace_begins() {
        let of = |own, path| absolute(own, path, false);
        assert_eq!(of("", "/a/b").as_deref(), Some("/a/b"));
        assert_eq!(of("", "/").as_deref(), Some("/"));
        assert_eq!(of("/m/agent", "/").as_deref(), Some("/m/agent"));
        assert_eq!(of("/m/agent", "/x").as_deref(), Some("/m/agent/x"));
        assert_eq!(of("/m/agent", "/../pod").as_deref(), Some("/m/pod"));
        assert_eq!(of("/m/agent", "/../..").as_deref(), Some("/"));
        assert_eq!(of("/m/agent", "/../../..").as_deref(), None);
    }

    #[test]
    fn what_is_outside_is_shown_to_be() {
        let of = |path| absolute("", path, true);
        assert_eq!(of("/../pod/x").as_deref(), Some("/../pod/x"));
        assert_eq!(of("/../../pod").as_deref(), Some("/../../pod"));
        assert_eq!(of("/a").as_deref(), Some("/a"));
    }
}
