//! The time namespace of this process (`time_namespaces(7)`, since Linux 5.6). There, clocks that a process
//! reads are shifted, and so is what `/proc` says about when processes started. What BPF programs and TCP
//! read is not.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt as _,
    sync::OnceLock,
};

use crate::source::error::StartError;

/// Inode number of the initial time namespace (`PROC_TIME_INIT_INO`, `include/linux/proc_ns.h`).
const INITIAL: u64 = 0xEFFF_FFFA;

const OWN: &str = "/proc/self/ns/time";
/// The one that children will be in, and this process after the next `exec` (since 6.3).
const OF_CHILDREN: &str = "/proc/self/ns/time_for_children";
/// Those of the children's namespace (`proc_timens_show_offsets`, `kernel/time/namespace.c`).
const OFFSETS: &str = "/proc/self/timens_offsets";

/// By how much clocks here are ahead of the kernel's, in ns; negative if they are behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offsets {
    /// `CLOCK_MONOTONIC`.
    pub monotonic_ns: i64,
    /// `CLOCK_BOOTTIME`.
    pub boottime_ns: i64,
}

/// Those of this process's namespace, which does not change while it runs; `None` in the initial one. They are
/// read once.
///
/// # Errors
/// When they cannot be known; says why.
pub fn offsets() -> &'static Result<Option<Offsets>, String> {
    static READ: OnceLock<Result<Option<Offsets>, String>> = OnceLock::new();
    READ.get_or_init(|| {
        let inode = |path: &str| fs::metadata(path).map(|metadata| metadata.ino());
        let text = || fs::read_to_string(OFFSETS);
        of(inode(OWN), || inode(OF_CHILDREN), text)
    })
}

/// Checks that the kernel's clock is known, and that threads can be started.
///
/// # Errors
/// [`StartError::TimeNamespace`].
pub fn check() -> Result<(), StartError> {
    let reason = offsets().as_ref().err();
    reason.map_or(Ok(()), |reason| {
        let reason = reason.clone();
        Err(StartError::TimeNamespace { reason })
    })
}

fn of(
    own: io::Result<u64>,
    of_children: impl FnOnce() -> io::Result<u64>,
    text: impl FnOnce() -> io::Result<String>,
) -> Result<Option<Offsets>, String> {
    let unknown =
        |path: &str, error: io::Error| format!("the kernel's clock is not known ({path}: {error})");
    let own = match own {
        // A kernel without time namespaces.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        own => own.map_err(|error| unknown(OWN, error))?,
    };
    let of_children = of_children().map_err(|error| unknown(OF_CHILDREN, error))?;
    if of_children != own {
        // `copy_namespaces`, `kernel/nsproxy.c`.
        return Err(
            "the children of this process would be in another one, and the kernel then lets it start no \
             thread and tells only the offsets of that one"
                .into(),
        );
    }
    if own == INITIAL {
        return Ok(None);
    }
    let text = text().map_err(|error| unknown(OFFSETS, error))?;
    let offsets = parse(&text).ok_or_else(|| unknown(OFFSETS, ErrorKind::InvalidData.into()))?;
    Ok(Some(offsets))
}

/// A line for each clock: its name, seconds, which may be negative, and nanoseconds, which are added.
fn parse(text: &str) -> Option<Offsets> {
    let of = |clock: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(clock))?;
        let mut numbers = line.split_whitespace().map(str::parse::<i64>);
        let (seconds, ns) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        seconds.checked_mul(1_000_000_000)?.checked_add(ns)
    };
    Some(Offsets {
        monotonic_ns: of("monotonic ")?,
        boottime_ns: of("boottime ")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "monotonic      100000         5\nboottime          -10 900000000\n";

    fn offsets_of(own: u64, of_children: u64, text: &str) -> Result<Option<Offsets>, String> {
        of(Ok(own), || Ok(of_children), || Ok(text.into()))
    }

    #[test]
    fn offsets_are_read_with_their_signs() {
        let offsets = Offsets {
            monotonic_ns: 100_000_000_000_005,
            boottime_ns: -9_100_000_000,
        };
        assert_eq!(offsets_of(7, 7, TEXT), Ok(Some(offsets)));
        for unknown in [
            "",
            "monotonic 1 0\n",
            "monotonic 1\nboottime 1 0\n",
            "monotonic x 0\nboottime 1 0\n",
            "monotonic 9223372037 0\nboottime 1 0\n",
        ] {
            assert_eq!(parse(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn the_initial_namespace_has_none() {
        assert_eq!(offsets_of(INITIAL, INITIAL, TEXT), Ok(None));
        let none = || Err(ErrorKind::NotFound.into());
        assert_eq!(of(none(), none, || Ok(TEXT.into())), Ok(None));
    }

    #[test]
    fn offsets_of_another_namespace_are_not_taken() {
        for (own, of_children) in [(7, 8), (INITIAL, 7), (7, INITIAL)] {
            let reason = offsets_of(own, of_children, TEXT).expect_err("they differ");
            assert!(reason.contains("would be in another one"), "{reason}");
        }
        let reason = offsets_of(7, 7, "1 2 3").expect_err("unknown");
        assert!(reason.contains("not known"), "{reason}");
        let denied = || Err(ErrorKind::PermissionDenied.into());
        assert!(of(denied(), || Ok(7), || Ok(TEXT.into())).is_err());
    }

    #[test]
    fn the_offsets_of_this_process_are_known() {
        // Tests run where nobody has given their process and its children different ones.
        assert!(offsets().is_ok(), "{:?}", offsets());
    }
}
