//! Giving up what a command does not need after its start: capabilities, system calls, files.
//!
//! [`Work::keeps`](crate::model::sandbox::Work::keeps) has the list. Whoever needs more widens that list, or the
//! one of system calls, and the tests of both.

mod calls;
mod capabilities;
mod landlock;
mod seccomp;

use std::{io, path::Path, thread};

use rustix::{
    fs::{Access, AtFlags, CWD, accessat},
    thread::set_no_new_privs,
};

use crate::model::sandbox::{Capability, Confinement, Needs, Reach};

/// Gives up all that is not needed, for good. The list of system calls holds for every thread; capabilities and
/// Landlock for this thread and those that it starts from now on. A thread that is there already calls
/// [`give_up_capabilities`] itself.
///
/// It goes on with what the kernel lets it: the result says what holds.
pub fn confine(needs: &Needs) -> Confinement {
    let refused = |error: rustix::io::Errno| error.to_string();
    // First: without it, only who has CAP_SYS_ADMIN may use the other two.
    let no_new_privs = set_no_new_privs(true).map_err(refused);
    let landlock = (needs.reach == Reach::Opened).then(landlock::refuse_all);
    let capabilities = capabilities::keep(&needs.capabilities).map_err(refused);
    // Last: it refuses the calls of the others.
    let seccomp = seccomp::allow_only(needs.reach);
    Confinement {
        capabilities,
        no_new_privs,
        seccomp,
        landlock,
    }
}

/// Gives up all capabilities of the calling thread except these, for good. Every thread has its own: one that
/// starts before [`confine`] is called calls this first.
///
/// # Errors
/// When the kernel refuses.
pub fn give_up_capabilities(except: &[Capability]) -> io::Result<()> {
    set_no_new_privs(true)?;
    capabilities::keep(except)?;
    Ok(())
}

/// Whether this process may make and open these for writing only because it has a capability: then another user
/// owns them, or a folder above. Of a folder, what is in it counts, too.
#[must_use]
pub fn needs_override(paths: &[&Path]) -> bool {
    thread::scope(|scope| {
        // The capabilities are this thread's alone.
        let asked = scope.spawn(|| give_up_capabilities(&[]).is_ok() && may_all_be_written(paths));
        !asked.join().unwrap_or(false)
    })
}

fn may_all_be_written(paths: &[&Path]) -> bool {
    let may = |path: &Path, access| accessat(CWD, path, access, AtFlags::EACCESS).is_ok();
    paths.iter().all(|path| match std::fs::read_dir(path) {
        Ok(entries) => {
            let mut files = entries.flatten().map(|entry| entry.path());
            may(path, Access::WRITE_OK | Access::EXEC_OK)
                && files.all(|file| file.is_dir() || may(&file, Access::WRITE_OK))
        }
        Err(_) => {
            let above = path.parent().filter(|above| !above.as_os_str().is_empty());
            may(path, Access::WRITE_OK)
                && may(
                    above.unwrap_or(Path::new(".")),
                    Access::WRITE_OK | Access::EXEC_OK,
                )
        }
    })
}

#[cfg(test)]
mod tests {
    use rustix::thread::{CapabilitySet, capabilities};

    use super::*;

    #[test]
    fn a_thread_gives_up_its_own() {
        let before = capabilities(None).expect("they can be read");
        let other = thread::spawn(|| {
            give_up_capabilities(&[Capability::DacOverride]).expect("it only gives up");
            capabilities(None).expect("they can be read")
        });
        let after = other.join().expect("no panic");
        let kept = before.permitted & CapabilitySet::DAC_OVERRIDE;
        assert_eq!(
            (after.permitted, after.inheritable),
            (kept, CapabilitySet::empty())
        );
        assert_eq!(capabilities(None).expect("they can be read"), before);
    }

    #[test]
    fn who_owns_a_folder_needs_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.log"), "a").expect("a file");
        assert!(!needs_override(&[
            folder.path(),
            &folder.path().join("a.log")
        ]));
        assert!(needs_override(&[Path::new("/proc/version")]));
        assert!(needs_override(&[&folder.path().join("missing")]));
    }
}
