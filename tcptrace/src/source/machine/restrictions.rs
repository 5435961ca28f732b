//! What this machine withholds from its processes: kernel memory and locked memory.

use std::fs;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Lets maps take as much memory as they need: before 5.11 they count as locked memory. Without
/// `CAP_SYS_RESOURCE` this fails, and on later kernels it is not needed.
pub fn lift_memory_limit() {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    let _ = setrlimit(Resource::Memlock, unlimited);
}

/// The kernel's lockdown mode: `none`, `integrity` or `confidentiality`; `None` if the kernel does
/// not report it.
#[must_use]
pub fn lockdown() -> Option<String> {
    let text = fs::read_to_string("/sys/kernel/security/lockdown").ok()?;
    chosen(&text).map(Into::into)
}

/// The one in brackets.
fn chosen(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0)
}

/// Whether the lockdown mode forbids everyone to read kernel memory.
#[must_use]
pub fn locked_down() -> bool {
    lockdown().is_some_and(|mode| mode == "confidentiality")
}

#[cfg(test)]
mod tests {
    use super::chosen;

    #[test]
    fn the_mode_in_brackets_is_the_one() {
        assert_eq!(
            chosen("none [integrity] confidentiality\n"),
            Some("integrity")
        );
        assert_eq!(chosen("[none] integrity confidentiality\n"), Some("none"));
        assert_eq!(chosen(""), None);
    }
}
