//! Opening what a log is written to. A name may have been planted by somebody else, and `tcptrace` is root:
//! no symbolic link is followed, and an existing file is only taken if nobody else can have another way to it.

pub mod folder;
pub mod output;

use std::{
    ffi::OsStr,
    fs, io,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
};

use rustix::{
    fs::{AtFlags, FlockOperation, Mode, OFlags, flock, fstat, openat, statat},
    process::{geteuid, umask},
};

/// For a file that lines are appended to. It neither waits for a reader of a FIFO nor becomes the terminal.
const APPEND: OFlags = OFlags::RDWR
    .union(OFlags::APPEND)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// Makes new files and folders this user's alone: they say which hosts processes talk to.
pub fn keep_private() {
    umask(Mode::from_raw_mode(0o077));
}

/// Why a file is not written to; `None` if it is a regular one of this user, and has no other name.
fn refusal(file: &fs::Metadata) -> Option<String> {
    let own = geteuid().as_raw();
    if !file.is_file() {
        Some(format!("it is {}", kind(file)))
    } else if file.uid() != own {
        Some(format!("it belongs to user {}, not to {own}", file.uid()))
    } else if file.nlink() > 1 {
        Some("it has another name (a hard link)".into())
    } else {
        None
    }
}

/// What it is, if it is no regular file.
fn kind(file: &fs::Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    let kind = file.file_type();
    match kind {
        _ if kind.is_symlink() => "a symbolic link",
        _ if kind.is_dir() => "a folder",
        _ if kind.is_fifo() => "a FIFO",
        _ if kind.is_socket() => "a socket",
        _ if kind.is_block_device() => "a block device",
        _ if kind.is_char_device() => "a device",
        _ => "no regular file",
    }
}

/// Makes a file in a folder; `AlreadyExists` when anything has this name.
fn create(folder: &OwnedFd, name: &OsStr) -> io::Result<fs::File> {
    let flags = APPEND | OFlags::CREATE | OFlags::EXCL;
    let mode = Mode::from_raw_mode(0o600);
    Ok(fs::File::from(openat(folder, name, flags, mode)?))
}

/// Whether this name in a folder means this file.
fn names(folder: &OwnedFd, name: &OsStr, file: &fs::File) -> bool {
    let named = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    let (Ok(named), Ok(open)) = (named, fstat(file)) else {
        return false;
    };
    (named.st_dev, named.st_ino) == (open.st_dev, open.st_ino)
}

/// Claims a file for this session.
fn lock(file: &fs::File) -> io::Result<()> {
    let locked = flock(file, FlockOperation::NonBlockingLockExclusive);
    locked.map_err(|error| match error {
        rustix::io::Errno::WOULDBLOCK => refused("another session of tcptrace is writing to it"),
        error => error.into(),
    })
}

/// An error that does not come from the kernel.
fn refused(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why.into())
}
