//! Where network namespaces are bound to a path.
//!
//! Paths are bytes: one that is not UTF-8 must not hide the others, which parsers of strings do.

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

/// The mount points of namespaces in the mount namespace of a process (`/proc/PID`); none if it may not
/// be looked into.
#[must_use]
pub fn of(process: &Path) -> Vec<PathBuf> {
    let text = fs::read(process.join("mountinfo")).unwrap_or_default();
    let lines = text.split(|byte| *byte == b'\n');
    lines.filter_map(mount_point).collect()
}

/// The mount point in a line of `mountinfo`, if a network namespace is bound to it. Form:
/// `Documentation/filesystems/proc.rst`, section 3.5.
fn mount_point(line: &[u8]) -> Option<PathBuf> {
    let mut fields = line.split(|byte| *byte == b' ');
    let root = fields.nth(3)?;
    let path = fields.next()?;
    // Optional fields end with a hyphen; the type of the file system comes next.
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    let is_netns = kind == b"nsfs" && root.starts_with(b"net:[");
    is_netns.then(|| OsString::from_vec(unescaped(path)).into())
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
    fn a_bound_namespace_is_found_whatever_its_path_is() {
        let line =
            b"36 25 0:4 net:[4026532290] /run/netns/a\\040b\xff\\134 rw shared:9 - nsfs nsfs rw";
        let path = mount_point(line).expect("a namespace");
        assert_eq!(path.as_os_str().as_bytes(), b"/run/netns/a b\xff\\");
        for other in [
            &b"36 25 0:4 mnt:[4026532290] /a rw - nsfs nsfs rw"[..],
            b"36 25 0:4 net:[4026532290] /a rw - ext4 nsfs rw",
            b"36 25 0:4 net:[4026532290] /a rw",
            b"",
        ] {
            assert_eq!(mount_point(other), None);
        }
    }

    #[test]
    fn a_backslash_without_digits_stays() {
        for text in [&b"\\"[..], b"\\9", b"\\999", b"a\\xyz"] {
            assert_eq!(unescaped(text), text);
        }
    }
}
