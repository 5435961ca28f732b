//! Lines that could not be written, over all files of a session.

use std::{cmp::Reverse, fmt::Write as _, path::Path};

use crate::view::parts::clean;

/// How many files an error names.
const NAMED: usize = 5;

/// How many lines are missing, where, and why.
#[derive(Debug, Default)]
pub struct Missing {
    lines: u64,
    files: usize,
    /// Those with the most.
    worst: Vec<(u64, String)>,
}

impl Missing {
    /// Adds a file.
    pub fn add(&mut self, lines: u64, path: &Path, error: Option<&str>) {
        self.lines += lines;
        self.files += 1;
        let error = clean::clean(error.unwrap_or("unknown error"));
        let text = format!("{lines} of {} ({error})", clean::path(path));
        self.worst.push((lines, text));
        self.worst.sort_by_key(|(lines, _)| Reverse(*lines));
        self.worst.truncate(NAMED);
    }

    /// For the user; `None` if none is missing.
    pub fn in_words(&self) -> Option<String> {
        if self.lines == 0 {
            return None;
        }
        let mut text = format!("{} lines could not be written:", self.lines);
        for (_, file) in &self.worst {
            let _ = write!(text, "\n  {file}");
        }
        if self.files > NAMED {
            let _ = write!(text, "\n  and lines of {} more files", self.files - NAMED);
        }
        Some(text)
    }
}
