//! The machine's network namespaces: finding, naming and entering them.
//!
//! No namespace is kept open between looks, because that would keep a removed one alive.

use std::{
    collections::HashMap,
    fs::{self, File, Metadata},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{
    model::{caveat::Caveat, recording::NamedNetns},
    source::machine::threads::instead_of_first,
};

mod kind;
mod mounts;
pub mod search;

const OWN: &str = "/proc/self/ns/net";
/// Where `ip netns` binds named namespaces.
const NAMED: &str = "/run/netns";

/// A network namespace and a path that leads to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Its identity, as in `net:[…]`.
    pub inode: u32,
    /// A file that refers to it now.
    pub path: PathBuf,
}

/// The machine's namespaces, as far as something leads to them.
#[derive(Debug, Default)]
pub struct Namespaces {
    /// By inode number.
    pub paths: HashMap<u32, PathBuf>,
    /// Names of those that are bound to a path, by inode number.
    pub names: HashMap<u32, String>,
    /// Processes whose namespace tcptrace may not read.
    pub refused: Vec<u32>,
    /// What some of the paths lead through.
    opened: Vec<OwnedFd>,
}

impl Namespaces {
    /// Each of them.
    pub fn all(&self) -> impl Iterator<Item = Namespace> {
        self.paths.iter().map(|(inode, path)| Namespace {
            inode: *inode,
            path: path.clone(),
        })
    }

    /// Adds a namespace that is open.
    pub fn add(&mut self, inode: u32, file: OwnedFd) {
        self.paths.insert(inode, search::path_of(&file));
        self.opened.push(file);
    }

    /// The caveat about processes that tcptrace may not inspect, if there are any.
    #[must_use]
    pub fn refusal(&self) -> Option<Caveat> {
        let some = !self.refused.is_empty();
        some.then(|| Caveat::UnreadableProcesses(self.refused.clone()))
    }
}

/// The inode number of the namespace that `path` refers to.
///
/// # Errors
/// When it cannot be read.
pub fn inode_of(path: &Path) -> io::Result<u32> {
    Ok(number(&fs::metadata(path)?))
}

#[allow(clippy::cast_possible_truncation)] // the kernel numbers namespaces with 32 bits
fn number(metadata: &Metadata) -> u32 {
    metadata.ino() as u32
}

/// The inode number of this process's own namespace.
///
/// # Errors
/// When it cannot be read.
pub fn own() -> io::Result<u32> {
    inode_of(Path::new(OWN))
}

/// Finds every namespace through `/proc/*/ns/net` and this namespace's mounts.
///
/// # Errors
/// When `/proc` cannot be listed.
pub fn list() -> io::Result<Namespaces> {
    let mut found = Namespaces::default();
    found.paths.insert(own()?, OWN.into());
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        match of_process(&entry.path()) {
            Ok((inode, path)) => {
                found.paths.entry(inode).or_insert(path);
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                found.refused.push(pid);
            }
            // The process is gone.
            Err(_) => {}
        }
    }
    for path in mounts::of(Path::new("/proc/self")) {
        let Ok(inode) = inode_of(&path) else { continue };
        if let Some(name) = path.file_name() {
            let name = name.to_string_lossy().into_owned();
            found.names.entry(inode).or_insert(name);
        }
        found.paths.entry(inode).or_insert(path);
    }
    Ok(found)
}

/// The namespace that a process (`/proc/PID`) is in, and what leads to it: its first thread, or if this one
/// has exited and others live on, one of these.
///
/// # Errors
/// When the process is gone, or may not be looked into.
pub fn of_process(process: &Path) -> io::Result<(u32, PathBuf)> {
    let at = |folder: &Path| {
        let path = folder.join("ns/net");
        Ok((inode_of(&path)?, path))
    };
    at(process).or_else(|error: io::Error| {
        let is_empty = error.kind() == io::ErrorKind::NotFound;
        let other = is_empty.then(|| instead_of_first(process)).flatten();
        other.map_or(Err(error), |thread| at(&thread))
    })
}

/// The names of the namespaces that are bound to a path, those that `ip netns` gave first.
#[must_use]
pub fn names() -> Vec<NamedNetns> {
    let mut paths = mounts::of(Path::new("/proc/self"));
    paths.sort_by_key(|path| !path.starts_with(NAMED));
    let mut names = Vec::new();
    for path in paths {
        let (Ok(inode), Some(name)) = (inode_of(&path), path.file_name()) else {
            continue;
        };
        let name = name.to_string_lossy().into_owned();
        let named = NamedNetns { inode, name };
        if !names.contains(&named) {
            names.push(named);
        }
    }
    names
}

/// The inode number of the namespace that the user gives: by its name in `ip netns`, or by a path.
///
/// # Errors
/// When there is none; the message says where it was searched.
pub fn named(text: &str) -> Result<u32, String> {
    let path = Path::new(NAMED).join(text);
    let found = kind::check(&path).map_err(|error| error.to_string());
    let reason = match found {
        Ok(None) => return inode_of(&path).map_err(|error| error.to_string()),
        Ok(Some(other)) => format!("{} is {other}", path.display()),
        Err(error) => format!("{}: {error}", path.display()),
    };
    Err(format!(
        "no network namespace {text:?} ({reason}); give its inode number (as in `readlink \
         /proc/PID/ns/net`), its name in {NAMED}, or a path such as /proc/PID/ns/net"
    ))
}

/// Runs `work` in the namespace, on a separate thread unless it is this process's own namespace.
///
/// # Errors
/// When the namespace is gone or may not be entered.
pub fn inside<T: Send>(
    namespace: &Namespace,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    if own()? == namespace.inode {
        return work();
    }
    let file = File::open(&namespace.path)?;
    // The pid may have been reused by another process since the path was found.
    if number(&file.metadata()?) != namespace.inode {
        return Err(io::ErrorKind::NotFound.into());
    }
    thread::scope(|scope| {
        let worker = scope.spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
            drop(file);
            work()
        });
        worker
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
