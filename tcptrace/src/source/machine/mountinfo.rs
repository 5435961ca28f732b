//! Lines of `/proc/PID/mountinfo` (`Documentation/filesystems/proc.rst`, section 3.5).
//!
//! Paths are bytes: one that is not UTF-8 must not hide the others, which parsers of strings do.

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What of the file system is mounted. Of a namespace `net:[…]`; of the unified hierarchy of control
    /// groups a path from the root of the reader's cgroup namespace, outside of it with `/..` before it
    /// (`cgroup_show_path`, `kernel/cgroup/cgroup.c`).
    pub root: Vec<u8>,
    /// Where.
    pub point: PathBuf,
    /// The type of the file system.
    pub kind: Vec<u8>,
}

/// The mounts in the mount namespace of a process (`/proc/PID`), in the order in which they were made;
/// none if it may not be looked into.
#[must_use]
pub fn of(process: &Path) -> Vec<Mount> {
    let text = fs::read(process.join("mountinfo")).unwrap_or_default();
    let lines = text.split(|byte| *byte == b'\n');
    lines.filter_map(mount).collect()
}

fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let root = unescaped(fields.nth(3)?);
    let point = OsString::from_vec(unescaped(fields.next()?)).into();
    // Optional fields end with a hyphen; the type of the file system comes next.
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?.to_vec();
    Some(Mount { root, point, kind })
}

/// Space, tab, line feed and backslash are written as three octal digits (`mangle`,
/// `fs/proc_namespace.c`).
fn unescaped(path: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| byte == b'\\');
        let value = digits
            .and_then(|digits| str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match value {
            Some(value) => {
                bytes.push(value);
                rest = &after[3..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn a_mount_is_read_whatever_its_path_is() {
        let line =
            b"36 25 0:4 net:[4026532290] /run/netns/a\\040b\xff\\134 rw shared:9 - nsfs nsfs rw";
        let read = mount(line).expect("a mount");
        assert_eq!(read.point.as_os_str().as_bytes(), b"/run/netns/a b\xff\\");
        assert_eq!(read.root, b"net:[4026532290]");
        assert_eq!(read.kind, b"nsfs");
        for other in [&b"36 25 0:4 net:[4026532290] /a rw"[..], b""] {
            assert_eq!(mount(other), None);
        }
    }

    #[test]
    fn a_backslash_without_digits_stays() {
        for text in [&b"\\"[..], b"\\9", b"\\999", b"a\\xyz"] {
            assert_eq!(unescaped(text), text);
        }
    }
}
