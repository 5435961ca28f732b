//! Lines of a log that wait to be written.

use std::io;

use crate::{
    model::transition::Record,
    view::{Page, View},
};

/// Lines are written as soon as this many bytes wait, without waiting for the next flush.
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

    /// Adds a line that belongs to no record, with its line end.
    pub fn begin(&mut self, first_line: &[u8]) {
        self.waiting.extend_from_slice(first_line);
    }

    /// Adds a record's line; returns whether enough bytes wait that they should be written.
    pub fn add(&mut self, record: &Record) -> bool {
        self.view.show(record, &Page::UNLIMITED, &mut self.waiting);
        self.count += 1;
        self.waiting.len() >= ENOUGH
    }

    /// Gives the waiting bytes to `write`, if there are any. Afterwards none wait, even if `write`
    /// fails.
    ///
    /// # Errors
    /// The errors of `write`.
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

/// The view's heading with its line end; empty if it has none.
pub fn heading_line<T: ?Sized>(view: &dyn View<T>) -> Vec<u8> {
    let line = |heading| format!("{heading}\n").into_bytes();
    view.heading().map_or_else(Vec::new, line)
}
