//! Lines of a log that wait to be written.

use std::io;

use crate::{
    model::transition::Record,
    sink::characters,
    view::{Page, View},
};

/// Lines are written as soon as this many bytes wait, without waiting for the next flush.
const ENOUGH: usize = 64 * 1024;

/// Collects lines, so that many are written at once.
pub struct Lines {
    view: Box<dyn View<Record>>,
    /// What a file begins with.
    heading: Vec<u8>,
    first_line: Vec<u8>,
    /// Where the lines of records begin in `waiting`.
    begun: usize,
    waiting: Vec<u8>,
    count: u64,
    page: Page,
}

impl Lines {
    /// Only the view's heading waits.
    pub fn new(view: Box<dyn View<Record>>) -> Self {
        let mut waiting = Vec::with_capacity(2 * ENOUGH);
        let heading = heading_line(&*view);
        waiting.extend_from_slice(&heading);
        Self {
            view,
            heading,
            first_line: Vec::new(),
            begun: waiting.len(),
            waiting,
            count: 0,
            page: unlimited(),
        }
    }

    /// Sets the room for the lines from here on.
    pub fn set_page(&mut self, page: Page) {
        self.page = page;
    }

    /// Adds what comes after the last record.
    pub fn end(&mut self) {
        self.view.end(&self.page, &mut self.waiting);
    }

    /// Adds a line that belongs to no record, with its line end.
    pub fn begin(&mut self, first_line: &[u8]) {
        self.first_line = first_line.to_vec();
        self.waiting.extend_from_slice(first_line);
        self.begun = self.waiting.len();
    }

    /// What a file begins with, unless it waits to be written.
    pub fn beginning(&self) -> Option<Vec<u8>> {
        (self.begun == 0).then(|| [&self.heading[..], &self.first_line].concat())
    }

    /// Puts what a file begins with before the lines that wait; only the line of the session, if the file has
    /// lines already.
    pub fn begin_in(&mut self, empty: bool) {
        let heading: &[u8] = if empty { &self.heading } else { &[] };
        let begin = [heading, &self.first_line].concat();
        self.begun = begin.len();
        self.waiting.splice(0..0, begin);
    }

    /// Adds a record's line; returns whether enough bytes wait that they should be written.
    pub fn add(&mut self, record: &Record) -> bool {
        self.view.show(record, &self.page, &mut self.waiting);
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
        self.begun = 0;
        result
    }

    /// How many records there were.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// The room in a file.
pub fn unlimited() -> Page {
    Page {
        ascii: characters::are_ascii(),
        ..Page::UNLIMITED
    }
}

/// The view's heading with its line end; empty if it has none.
pub fn heading_line<T: ?Sized>(view: &dyn View<T>) -> Vec<u8> {
    let line = |heading| format!("{heading}\n").into_bytes();
    view.heading().map_or_else(Vec::new, line)
}
