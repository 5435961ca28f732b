//! Landlock (Linux 5.13 and later): this thread and those that it starts open no file, make no connection, and send no
//! signal to others.
//!
//! Not for who looks at other processes: the kernel refuses that to a process under Landlock, whatever else it may do
//! (`hook_ptrace_access_check`, `security/landlock/task.c`).

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr as _, RulesetError,
    RulesetStatus, Scope,
};

use crate::model::sandbox::Landlock;

/// The newest whose refusals are asked for. An older kernel refuses what it knows.
const NEWEST: ABI = ABI::V6;

/// Refuses all that the kernel knows to refuse.
///
/// # Errors
/// Says why nothing is refused.
pub fn refuse_all() -> Result<Landlock, String> {
    let restricted = || {
        Ruleset::default()
            .handle_access(AccessFs::from_all(NEWEST))?
            .handle_access(AccessNet::from_all(NEWEST))?
            .scope(Scope::from_all(NEWEST))?
            .create()?
            .restrict_self()
    };
    let status = restricted().map_err(|error: RulesetError| error.to_string())?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::FullyEnforced, _) => Ok(Landlock::Whole),
        (RulesetStatus::PartiallyEnforced, _) => Ok(Landlock::Part),
        (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => {
            Err("it is not enabled (the kernel's option lsm=)".into())
        }
        (RulesetStatus::NotEnforced, _) => {
            Err("this kernel has none (CONFIG_SECURITY_LANDLOCK, Linux 5.13)".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::ErrorKind, thread};

    use super::*;

    /// It holds for this thread alone, and only what a kernel says that holds.
    #[test]
    fn nothing_can_be_opened_any_more() {
        let open = || File::open("/proc/self/status").map(drop);
        let confined = thread::spawn(move || {
            rustix::thread::set_no_new_privs(true).expect("it only gives up");
            let held = refuse_all();
            assert_eq!(refuse_all().is_ok(), held.is_ok(), "{held:?}");
            (held, open())
        });
        let (held, opened) = confined.join().expect("no panic");
        let refused = opened.err().map(|error| error.kind());
        let expected = held.is_ok().then_some(ErrorKind::PermissionDenied);
        assert_eq!(refused, expected, "{held:?}");
        open().expect("another thread may");
    }
}
