//! What this process may do.

use rustix::thread::{CapabilitySet, capabilities};

use crate::{
    model::caveat::Caveat,
    source::{error::StartError, machine::user_namespace},
};

/// What is missing, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Missing {
    /// Without these tcptrace does not work.
    pub needed: Vec<&'static str>,
    /// Without these tcptrace misses something.
    pub useful: Vec<&'static str>,
}

/// Reads this thread's effective capabilities.
#[must_use]
pub fn missing() -> Missing {
    let held = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    missing_from(held)
}

fn missing_from(held: CapabilitySet) -> Missing {
    // CAP_SYS_ADMIN includes the capabilities that were split off from it.
    let admin = held.contains(CapabilitySet::SYS_ADMIN);
    let mut missing = Missing::default();
    for (capability, name) in [
        (CapabilitySet::BPF, "CAP_BPF"),
        (CapabilitySet::PERFMON, "CAP_PERFMON"),
    ] {
        if !admin && !held.contains(capability) {
            missing.needed.push(name);
        }
    }
    for (capability, name) in [
        (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
        (CapabilitySet::SYS_PTRACE, "CAP_SYS_PTRACE"),
        (CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN"),
    ] {
        if !held.contains(capability) {
            missing.useful.push(name);
        }
    }
    missing
}

/// What a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Programs: without them there is no other way.
    Programs,
    /// To look, for which there are ways without programs.
    Look,
}

/// Fails if a needed capability is missing; returns the caveat about the other ones.
///
/// # Errors
/// [`StartError::Privileges`], with the command line that would work; [`StartError::UserNamespace`].
pub fn check(needed_for: Use) -> Result<Option<Caveat>, StartError> {
    let missing = missing();
    if let Some(inode) = user_namespace::nested() {
        return match needed_for {
            Use::Look if missing.needed.is_empty() => Ok(Some(Caveat::UserNamespace(inode))),
            _ => Err(StartError::UserNamespace { inode }),
        };
    }
    if missing.needed.is_empty() {
        let some = !missing.useful.is_empty();
        return Ok(some.then_some(Caveat::MissingCapabilities(missing.useful)));
    }
    let arguments = std::env::args().map(|argument| quoted(&argument));
    Err(StartError::Privileges {
        missing: [missing.needed, missing.useful].concat().join(", "),
        command: format!("sudo {}", arguments.collect::<Vec<_>>().join(" ")),
    })
}

/// The word quoted for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,%+@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let printable: String = word.chars().filter(|c| !c.is_control()).collect();
    format!("'{}'", printable.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::{CapabilitySet, missing_from, quoted};

    #[test]
    fn root_lacks_nothing() {
        let missing = missing_from(CapabilitySet::all());
        assert!(missing.needed.is_empty() && missing.useful.is_empty());
    }

    #[test]
    fn nobody_lacks_everything() {
        let missing = missing_from(CapabilitySet::empty());
        assert_eq!(missing.needed, ["CAP_BPF", "CAP_PERFMON"]);
        assert_eq!(
            missing.useful,
            ["CAP_NET_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN"]
        );
    }

    #[test]
    fn sys_admin_stands_in_for_bpf_and_perfmon() {
        let missing = missing_from(CapabilitySet::SYS_ADMIN);
        assert!(missing.needed.is_empty());
        assert_eq!(missing.useful, ["CAP_NET_ADMIN", "CAP_SYS_PTRACE"]);
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("--older-than=5s"), "--older-than=5s");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("a\x1b[31mb"), "'a[31mb'");
        assert_eq!(quoted(""), "''");
    }
}
