//! What the files of a folder are kept in mind by.

use crate::sink::per_process::index::FileEntry;

/// What belongs to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// A process, by its number and start time.
    Process(Option<u32>, Option<u64>),
    /// No process is known.
    Unknown,
    /// Processes without a file of their own.
    Others,
}

impl Key {
    /// That of a process's file.
    pub fn of(entry: &FileEntry) -> Self {
        Self::Process(entry.pid, entry.started_ns)
    }
}
