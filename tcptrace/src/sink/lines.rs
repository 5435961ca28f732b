//! Lines of a log that wait to be written.

use std::io;

use crate::{
    model::transition::Record,
    view::{Page, View},
};

/// Lines are written when there are so many bytes of them, however soon the next flush comes.
const ENOUGH: usize = 64 * 1024;

/// Collects lines, so that many are written at once.
pub struct Lines {
    view: Box<dyn View<Record>>,
    waiting: Vec<u8>,
    count: u64,
}

impl Lines {
    /// Only the view's heading waits.
    pub fn new(view: Box<dyn View<Record>>) -> Self {
        let mut waiting = Vec::with_capacity(2 * ENOUGH);
        waiting.extend_from_slice(&heading_line(&*view));
        Self {
            view,
            waiting,
            count: 0,
        }
    }

    /// Adds a line that is of no record, with its end.
    pub fn begin(&mut self, first_line: &[u8]) {
        self.waiting.extend_from_slice(first_line);
    }

    /// Adds a record's line; whether so much waits now that it should be written.
    pub fn add(&mut self, record: &Record) -> bool {
        self.view.show(record, &Page::UNLIMITED, &mut self.waiting);
        self.count += 1;
        self.waiting.len() >= ENOUGH
    }

    /// Gives what waits to `write`, if there is any. Then it waits no more, also where that fails.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn hand_on(&mut self, write: impl FnOnce(&[u8]) -> io::Result<()>) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let result = write(&self.waiting);
        self.waiting.clear();
        result
    }

    /// How many records there were.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// The view's heading with its end; empty where it has none.
pub fn heading_line(view: &dyn View<Record>) -> Vec<u8> {
    let line = |heading| format!("{heading}\n").into_bytes();
    view.heading().map_or_else(Vec::new, line)
}
