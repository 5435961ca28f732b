//! An ordinary user who runs the tool, without privileges or with some.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context as _, Result};
use rustix::{
    fs::{XattrFlags, setxattr},
    thread::{
        CapabilitySet, CapabilitySets, configure_capability_in_ambient_set, set_capabilities,
        set_keep_capabilities,
    },
};

use crate::{harness::verdict::Ignored, run::tool::binary};

/// Who owns nothing.
pub const NOBODY: u32 = 65534;

/// A copy of the tool that every user may run: only root may read the folder of the original. Removed when dropped.
pub struct ToolCopy(PathBuf);

impl ToolCopy {
    pub fn new() -> Result<Self> {
        static COPIES: AtomicUsize = AtomicUsize::new(0);
        let number = COPIES.fetch_add(1, Ordering::Relaxed);
        let name = format!("tcptrace-live-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        let copy = Self(folder);
        let open = PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&copy.0, open)?;
        // A process that another test starts may keep a copy open for writing until its exec, and a file that is
        // open for writing cannot be run. A link is not opened for writing.
        std::fs::hard_link(binary(), copy.path())
            .or_else(|_| std::fs::copy(binary(), copy.path()).map(drop))
            .context("cannot copy the tool")?;
        std::fs::set_permissions(copy.path(), PermissionsExt::from_mode(0o755))?;
        Ok(copy)
    }

    /// One that gives these capabilities to whoever runs it, as `setcap` makes it.
    ///
    /// # Errors
    /// [`Ignored`], where files can have none.
    pub fn with_capabilities(capabilities: CapabilitySet) -> Result<Self> {
        let copy = Self::new()?;
        // A link would be the original.
        std::fs::remove_file(copy.path())?;
        std::fs::copy(binary(), copy.path())?;
        // `struct vfs_ns_cap_data` of `include/uapi/linux/capability.h`, revision 2, effective.
        let [low, high] = [capabilities.bits(), capabilities.bits() >> 32];
        let words = [0x0200_0001, low, 0, high, 0].map(|word| (word as u32).to_le_bytes());
        let flags = XattrFlags::empty();
        match setxattr(
            copy.path(),
            "security.capability",
            words.as_flattened(),
            flags,
        ) {
            Err(error) => Err(Ignored::because(format!(
                "files have no capabilities: {error}"
            ))),
            Ok(()) => Ok(copy),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.0.join("tcptrace")
    }
}

impl Drop for ToolCopy {
    fn drop(&mut self) {
        // Nothing depends on the removal.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Makes this process, which has one thread, one of [`NOBODY`] that keeps these capabilities over an exec, as
/// `AmbientCapabilities=` of a service does.
pub fn become_nobody(kept: CapabilitySet) -> io::Result<()> {
    set_keep_capabilities(true)?;
    // SAFETY: the calls take numbers, and change the credentials of this process.
    let changed = unsafe {
        libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()) == 0
            && libc::syscall(libc::SYS_setresgid, NOBODY, NOBODY, NOBODY) == 0
            && libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY) == 0
    };
    if !changed {
        return Err(io::Error::last_os_error());
    }
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: kept,
    };
    set_capabilities(None, sets)?;
    for capability in kept.iter() {
        configure_capability_in_ambient_set(capability, true)?;
    }
    Ok(())
}
