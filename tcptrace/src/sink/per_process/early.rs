//! The first lines of processes, which wait until it is known whether the process is worth a file of its own.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant, SystemTime},
};

use crate::model::owner::Process;

/// A process that has run for so long after its first line gets a file.
pub const LONG: Duration = Duration::from_secs(1);
/// So does one with so many bytes of lines.
const MUCH: usize = 8 * 1024;
/// How many processes wait.
const MOST: usize = 1024;

/// The lines of a process.
#[derive(Debug)]
pub struct Early {
    /// The process.
    pub process: Process,
    begun: Instant,
    text: Vec<u8>,
    /// When each line was, and where it ends.
    lines: Vec<(SystemTime, usize)>,
}

impl Early {
    /// Whether it has many lines already.
    pub fn is_long(&self) -> bool {
        self.text.len() >= MUCH
    }

    /// The lines with their times, in order.
    pub fn lines(&self) -> impl Iterator<Item = (SystemTime, &[u8])> {
        let mut start = 0;
        self.lines.iter().map(move |(time, end)| {
            let line = &self.text[start..*end];
            start = *end;
            (*time, line)
        })
    }
}

/// Processes that wait, by what tells them apart.
#[derive(Debug)]
pub struct Waiting<K>(HashMap<K, Early>);

impl<K> Default for Waiting<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Copy + Eq + Hash> Waiting<K> {
    /// Adds a line; returns what must be decided about now.
    pub fn add(
        &mut self,
        key: K,
        process: &Process,
        time: SystemTime,
        line: &[u8],
    ) -> Option<(K, Early)> {
        let early = self.0.entry(key).or_insert_with(|| Early {
            process: process.clone(),
            begun: Instant::now(),
            text: Vec::new(),
            lines: Vec::new(),
        });
        early.text.extend_from_slice(line);
        early.lines.push((time, early.text.len()));
        if early.text.len() >= MUCH {
            return self.0.remove_entry(&key);
        }
        if self.0.len() <= MOST {
            return None;
        }
        let oldest = self.0.iter().min_by_key(|(_, early)| early.begun);
        let oldest = oldest.map(|(key, _)| *key)?;
        self.0.remove_entry(&oldest)
    }

    /// Those that have waited long enough, or all.
    pub fn due(&mut self, all: bool) -> Vec<(K, Early)> {
        let mut due: Vec<_> = self
            .0
            .extract_if(|_, early| all || early.begun.elapsed() >= LONG)
            .collect();
        due.sort_by_key(|(_, early)| early.begun);
        due
    }
}
