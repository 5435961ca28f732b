//! Groups by their numbers: a group's id is also what the kernel finds its directory by.

use std::{
    fs::read_link,
    io,
    os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd},
    path::PathBuf,
};

use super::directory::{Directory, ROOT};

/// The machine's root, through any directory of the hierarchy: all mounts of it are one file system. This needs
/// `CAP_DAC_READ_SEARCH` (`open_by_handle_at(2)`).
pub fn root(any: &Directory) -> Option<Directory> {
    Directory::checked(open(any, ROOT).ok()?).filter(Directory::is_root)
}

/// What the kernel says of a number.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// The group's path from the machine's root.
    At(PathBuf),
    /// No group has the number, and none will: a later one gets another.
    Gone,
    /// It cannot be asked.
    Refused,
}

/// The group with this number, through the machine's root. This takes about as long as opening a file.
pub fn find(root: &Directory, id: u64) -> Found {
    let group = match open(root, id) {
        Ok(group) => group,
        Err(error) => {
            return match error.raw_os_error() {
                Some(libc::ESTALE | libc::ENOENT) => Found::Gone,
                _ => Found::Refused,
            };
        }
    };
    let link = |file: i32| read_link(format!("/proc/self/fd/{file}")).ok();
    let path = || {
        let (group, root) = (link(group.as_raw_fd())?, link(root.as_fd().as_raw_fd())?);
        Some(group.strip_prefix(root).ok()?.to_owned())
    };
    match path() {
        // What the link says depends on mounts, and of a removed directory it has another ending.
        Some(path) if root.id_at(&path) == Some(id) => Found::At(path),
        _ if open(root, id).is_err() => Found::Gone,
        _ => Found::Refused,
    }
}

/// The directory with this number.
fn open(any: &Directory, id: u64) -> io::Result<OwnedFd> {
    /// `struct file_handle` of `include/linux/fs.h`, with what kernfs puts into it
    /// (`kernfs_encode_fh`, `fs/kernfs/mount.c`).
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        /// In two halves, because the kernel's structure is aligned to 4 bytes.
        id: [u32; 2],
    }
    /// `FILEID_KERNFS` of `include/linux/exportfs.h`.
    const KERNFS: i32 = 0xfe;
    let [a, b, c, d, e, f, g, h] = id.to_ne_bytes();
    let handle = Handle {
        bytes: 8,
        kind: KERNFS,
        id: [
            u32::from_ne_bytes([a, b, c, d]),
            u32::from_ne_bytes([e, f, g, h]),
        ],
    };
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    let mount = any.as_fd().as_raw_fd();
    // SAFETY: the kernel reads the handle, which lives longer than the call, and as many bytes of it as it
    // says; it writes no memory.
    let file = unsafe {
        libc::syscall(
            libc::SYS_open_by_handle_at,
            mount,
            std::ptr::from_ref(&handle),
            flags,
        )
    };
    let file = i32::try_from(file).map_err(|_| io::ErrorKind::InvalidData)?;
    if file < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it for this process.
    Ok(unsafe { OwnedFd::from_raw_fd(file) })
}
