//! Standard output for items that are shown immediately: looks and reports. On a terminal, a live
//! look is redrawn in place.

use std::io::{self, IsTerminal as _, Write as _};

use crate::view::{Page, View, parts::clean::clean};

/// Moves the cursor to the upper left, and clears everything below it.
const REDRAW: &[u8] = b"\x1b[H\x1b[2J";

/// Writes each item at once.
pub struct Screen<T: ?Sized> {
    view: Box<dyn View<T>>,
    live: bool,
    first: bool,
}

impl<T: ?Sized> Screen<T> {
    /// A screen. If `live`, each item replaces the previous one; otherwise items follow each other.
    #[must_use]
    pub fn new(view: Box<dyn View<T>>, live: bool) -> Self {
        Self {
            view,
            live,
            first: true,
        }
    }

    /// Shows an item.
    ///
    /// # Errors
    /// When the output cannot be written; `BrokenPipe` when its reader has gone.
    pub fn show(&mut self, item: &T) -> io::Result<()> {
        for warning in self.view.warnings(item) {
            writeln!(io::stderr(), "tcptrace: {}", clean(&warning))?;
        }
        let for_people = !self.view.is_for_programs();
        let redrawn = self.live && for_people && io::stdout().is_terminal();
        let size = terminal_size::terminal_size();
        let page = Page {
            width: size.map(|(width, _)| width.0.into()),
            height: size.filter(|_| redrawn).map(|(_, height)| height.0.into()),
        };
        let mut text = Vec::new();
        if redrawn {
            text.extend_from_slice(REDRAW);
        } else if for_people && !self.first {
            text.push(b'\n');
        }
        self.first = false;
        self.view.show(item, &page, &mut text);
        self.write(&text)
    }

    /// Prints the summary at the end: below the output, or on standard error if the output is for
    /// programs.
    ///
    /// # Errors
    /// The same as [`show`](Self::show).
    pub fn end(&mut self, summary: &str) -> io::Result<()> {
        if self.view.is_for_programs() {
            return writeln!(io::stderr(), "{summary}");
        }
        self.write(format!("\n{summary}\n").as_bytes())
    }

    fn write(&self, text: &[u8]) -> io::Result<()> {
        if self.view.is_for_programs() {
            let mut out = io::stdout().lock();
            out.write_all(text)?;
            return out.flush();
        }
        // Drops colours if they are not wanted: no terminal, NO_COLOR, TERM=dumb.
        let mut out = anstream::stdout().lock();
        out.write_all(text)?;
        out.flush()
    }
}
