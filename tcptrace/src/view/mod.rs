//! Views: each turns results into one kind of output. They do not write anything or query the
//! terminal; the sinks do. A new output needs a file here and an arm in its folder's `choose`.

use std::io::{self, Write};

pub mod doctor;
pub mod hist;
#[cfg(test)]
mod hostile_tests;
pub mod layout;
pub mod log;
pub mod parts;
pub mod states;
pub mod stuck;

/// One kind of output of a `T`: a snapshot, a report, the findings about a machine, a record of a
/// log.
pub trait View<T: ?Sized>: Send {
    /// Appends the output for `item`: whole lines, each with its line end.
    fn show(&mut self, item: &T, page: &Page, out: &mut Vec<u8>);

    /// Writes what [`show`](Self::show) appends, piece by piece if it is large.
    ///
    /// # Errors
    /// When it cannot be written.
    fn write(&mut self, item: &T, page: &Page, out: &mut dyn Write) -> io::Result<()> {
        let mut text = Vec::new();
        self.show(item, page, &mut text);
        out.write_all(&text)
    }

    /// A line that comes first at every beginning of the output, without its line end. It is the
    /// sink that writes it.
    fn heading(&self) -> Option<&str> {
        None
    }

    /// Appends what comes after the last item, in whole lines.
    fn end(&mut self, page: &Page, out: &mut Vec<u8>) {
        let _ = (page, out);
    }

    /// Whether the output is for programs: then nothing else may come between items, and messages
    /// for people go to standard error.
    fn is_for_programs(&self) -> bool {
        false
    }

    /// Warnings about `item` that the output itself does not contain, for standard error: not yet
    /// fit for a terminal. An output for programs without a place for caveats returns them here.
    fn warnings(&self, item: &T) -> Vec<String> {
        let _ = item;
        Vec::new()
    }
}

/// The format of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: JSON Lines.
    Json,
}

impl Format {
    /// JSON if `wanted`, otherwise text.
    #[must_use]
    pub fn json_if(wanted: bool) -> Self {
        if wanted { Self::Json } else { Self::Text }
    }
}

/// The available room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Page {
    /// Characters in a line of the terminal; `None` without a terminal.
    pub width: Option<usize>,
    /// Lines of a screen that everything has to fit on; `None` for no limit.
    pub height: Option<usize>,
    /// Whether only ASCII can be shown.
    pub ascii: bool,
}

impl Page {
    /// Unlimited room.
    pub const UNLIMITED: Self = Self {
        width: None,
        height: None,
        ascii: false,
    };

    /// The same for text of this width.
    #[must_use]
    pub fn with_width(self, width: Option<usize>) -> Self {
        Self { width, ..self }
    }
}
