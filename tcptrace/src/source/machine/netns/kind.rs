//! What a path leads to: a network namespace, or something else.

use std::{
    fs::{self, OpenOptions},
    io,
    os::{fd::AsRawFd as _, unix::fs::OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::{FsWord, statfs};

/// The type of the filesystem that namespaces are on (`NSFS_MAGIC` of `include/uapi/linux/magic.h`).
const NSFS: FsWord = 0x6e73_6673;

/// What the path leads to, unless it is a network namespace: `None` if it is one.
///
/// # Errors
/// When it leads nowhere, or may not be looked at.
pub fn check(path: &Path) -> io::Result<Option<&'static str>> {
    // Before it is opened, which waits for some files, and acts on some devices.
    if statfs(path)?.f_type != NSFS {
        let is_folder = fs::metadata(path)?.is_dir();
        return Ok(Some(if is_folder {
            "a directory"
        } else {
            "a file, and no namespace"
        }));
    }
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    /// `NS_GET_NSTYPE` of `include/uapi/linux/nsfs.h`: what kind of namespace it is.
    const GET_KIND: libc::c_ulong = 0xb703;
    // SAFETY: the call takes no memory; it gives a number or an error.
    let kind = unsafe { libc::ioctl(file.as_raw_fd(), GET_KIND) };
    match kind {
        libc::CLONE_NEWNET => Ok(None),
        0.. => Ok(Some("a namespace of another kind")),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_network_namespace_is_one() {
        let of = |path: &str| check(Path::new(path)).map_err(|error| error.kind());
        assert_eq!(of("/proc/self/ns/net"), Ok(None));
        assert_eq!(
            of("/proc/self/ns/mnt"),
            Ok(Some("a namespace of another kind"))
        );
        assert_eq!(of("/proc"), Ok(Some("a directory")));
        assert_eq!(of("/proc/self/stat"), Ok(Some("a file, and no namespace")));
        assert_eq!(of("/no/such"), Err(io::ErrorKind::NotFound));
    }
}
