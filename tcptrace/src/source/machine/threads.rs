//! The threads of a process, and by which of them `/proc` tells about it.
//!
//! When the first thread of a process exits and others live on, most of `/proc/PID` is empty: it is that
//! thread's, which gives up its memory, descriptors and namespaces (`do_exit`, `kernel/exit.c`).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The entries of a folder whose names are numbers.
///
/// # Errors
/// When it cannot be read.
pub fn numbered(folder: &Path) -> io::Result<impl Iterator<Item = PathBuf> + use<>> {
    let entries = fs::read_dir(folder)?.flatten();
    let is_number = |name: &[u8]| !name.is_empty() && name.iter().all(u8::is_ascii_digit);
    Ok(entries
        .filter(move |entry| is_number(entry.file_name().as_encoded_bytes()))
        .map(|entry| entry.path()))
}

/// Whether a thread in this state (the letter of `stat`) has ended.
#[must_use]
pub fn has_ended(state: char) -> bool {
    matches!(state, 'Z' | 'X' | 'x')
}

/// The threads of a process (`/proc/PID`) that have not ended: their folders and states.
pub fn living(process: &Path) -> impl Iterator<Item = (PathBuf, char)> + use<> {
    let threads = numbered(&process.join("task")).into_iter().flatten();
    threads.filter_map(|thread| {
        let state = state(&thread).filter(|state| !has_ended(*state))?;
        Some((thread, state))
    })
}

/// The folder of another thread of the process (`/proc/PID`), if its first one has exited and others
/// live on.
#[must_use]
pub fn instead_of_first(process: &Path) -> Option<PathBuf> {
    state(process).filter(|state| has_ended(*state))?;
    Some(living(process).next()?.0)
}

/// Where `/proc` tells about a process (`/proc/PID`): there, or in the folder of a thread that lives.
#[must_use]
pub fn folder(process: &Path) -> PathBuf {
    instead_of_first(process).unwrap_or_else(|| process.to_owned())
}

/// The letter in `stat`; `None` if the thread is gone.
fn state(thread: &Path) -> Option<char> {
    letter(&fs::read(thread.join("stat")).ok()?)
}

/// It follows the name, which may itself have parentheses (`do_task_stat`, `fs/proc/array.c`).
fn letter(stat: &[u8]) -> Option<char> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let [b' ', letter, ..] = stat.get(end + 1..)? else {
        return None;
    };
    Some(char::from(*letter))
}

/// The most telling of several states: a thread that runs says more than one that waits for a disk, and
/// this one more than one that sleeps.
#[must_use]
pub fn most_telling(states: impl Iterator<Item = char>) -> Option<char> {
    const ORDER: &str = "RDSITt";
    states.min_by_key(|state| ORDER.find(*state).unwrap_or(ORDER.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_follows_the_name() {
        assert_eq!(letter(b"7 (java) S 1 7"), Some('S'));
        assert_eq!(letter(b"7 (a) Z (b\n) R 1 7"), Some('R'));
        for other in [&b""[..], b"7 (java", b"7 (java)", b"7 (java)S"] {
            assert_eq!(letter(other), None);
        }
    }

    #[test]
    fn what_runs_tells_more_than_what_sleeps() {
        for (states, expected) in [
            ("SSRS", 'R'),
            ("SDS", 'D'),
            ("TS", 'S'),
            ("tT", 'T'),
            ("PT", 'T'),
            ("P", 'P'),
        ] {
            assert_eq!(most_telling(states.chars()), Some(expected), "{states}");
        }
        assert_eq!(most_telling("".chars()), None);
    }

    #[test]
    fn a_process_whose_first_thread_lives_is_told_of_by_itself() {
        let own = PathBuf::from(format!("/proc/{}", std::process::id()));
        assert_eq!((instead_of_first(&own), folder(&own)), (None, own.clone()));
        assert!(living(&own).count() > 0);
        assert_eq!(living(Path::new("/proc/none")).count(), 0);
    }
}
