//! Standard output for items that are shown immediately: looks and reports. On a terminal, a live
//! look is redrawn in place.

use std::io::{self, IsTerminal as _, Write};

use crate::{
    sink::{blocked::Watched, characters, lines::heading_line, messages},
    view::{Page, View, parts::clean::clean},
};

/// The width of a terminal that does not tell it.
const USUAL_WIDTH: usize = 80;
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
            messages::tell(clean(&warning));
        }
        let on_terminal = !self.view.is_for_programs() && io::stdout().is_terminal();
        let redrawn = self.live && on_terminal;
        // A pipe gets everything, whatever terminal the messages go to.
        let size = (on_terminal.then(terminal_size::terminal_size)).flatten();
        let known = |length: u16| Some(usize::from(length)).filter(|length| *length > 0);
        let page = Page {
            width: on_terminal.then(|| {
                let width = size.and_then(|(width, _)| known(width.0));
                width.unwrap_or(USUAL_WIDTH)
            }),
            height: (size.filter(|_| redrawn)).and_then(|(_, height)| known(height.0)),
            ascii: characters::are_ascii(),
        };
        self.print(|screen, out| screen.write(item, &page, redrawn, out))
    }

    /// Writes the item with what separates it from the one before.
    fn write(
        &mut self,
        item: &T,
        page: &Page,
        redrawn: bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let first = std::mem::replace(&mut self.first, false);
        if redrawn {
            out.write_all(REDRAW)?;
        } else if !self.view.is_for_programs() && !first {
            out.write_all(b"\n")?;
        }
        if first || redrawn {
            out.write_all(&heading_line(&*self.view))?;
        }
        self.view.write(item, page, out)
    }

    /// Prints the summary at the end: below the output, or on standard error if the output is for
    /// programs.
    ///
    /// # Errors
    /// The same as [`show`](Self::show).
    pub fn end(&mut self, summary: &str) -> io::Result<()> {
        if self.view.is_for_programs() {
            messages::print(summary);
            return Ok(());
        }
        self.print(|_, out| write!(out, "\n{summary}\n"))
    }

    fn print(
        &mut self,
        write: impl FnOnce(&mut Self, &mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.view.is_for_programs() {
            let mut out = Watched(io::stdout().lock());
            write(self, &mut out)?;
            return out.flush();
        }
        // Drops colours if they are not wanted: no terminal, NO_COLOR, TERM=dumb.
        let mut out = Watched(anstream::stdout().lock());
        write(self, &mut out)?;
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::{Page, REDRAW, Screen, View};

    struct Numbers {
        for_programs: bool,
    }

    impl View<u8> for Numbers {
        fn show(&mut self, item: &u8, _: &Page, out: &mut Vec<u8>) {
            out.extend_from_slice(format!("{item}\n").as_bytes());
        }

        fn heading(&self) -> Option<&str> {
            Some("NUMBER")
        }

        fn is_for_programs(&self) -> bool {
            self.for_programs
        }
    }

    fn shown(for_programs: bool, redrawn: bool) -> String {
        let mut screen = Screen::new(Box::new(Numbers { for_programs }), true);
        let mut text = Vec::new();
        for item in [1, 2] {
            let written = screen.write(&item, &Page::UNLIMITED, redrawn, &mut text);
            written.expect("memory takes it");
        }
        let redraw = str::from_utf8(REDRAW).expect("ASCII");
        String::from_utf8(text).expect("ASCII").replace(redraw, "^")
    }

    #[test]
    fn the_heading_comes_first_at_every_beginning() {
        assert_eq!(shown(false, false), "NUMBER\n1\n\n2\n");
        assert_eq!(shown(true, false), "NUMBER\n1\n2\n");
        assert_eq!(shown(false, true), "^NUMBER\n1\n^NUMBER\n2\n");
    }
}
