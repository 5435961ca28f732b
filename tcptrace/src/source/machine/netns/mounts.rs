//! Where network namespaces are bound to a path.

use std::path::{Path, PathBuf};

use crate::source::machine::mountinfo::{self, Mount};

/// The mount points of namespaces in the mount namespace of a process (`/proc/PID`); none if it may not
/// be looked into.
#[must_use]
pub fn of(process: &Path) -> Vec<PathBuf> {
    let mounts = mountinfo::of(process).into_iter();
    mounts.filter(is_netns).map(|mount| mount.point).collect()
}

fn is_netns(mount: &Mount) -> bool {
    mount.kind == b"nsfs" && mount.root.starts_with(b"net:[")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bound_network_namespace_is_one() {
        let mount = |root: &[u8], kind: &[u8]| Mount {
            root: root.to_vec(),
            point: "/a".into(),
            kind: kind.to_vec(),
        };
        assert!(is_netns(&mount(b"net:[4026532290]", b"nsfs")));
        assert!(!is_netns(&mount(b"mnt:[4026532290]", b"nsfs")));
        assert!(!is_netns(&mount(b"net:[4026532290]", b"ext4")));
    }
}
