//! Standard output for items that are shown immediately: looks and reports. On a terminal, a live
//! look is written over the one before.

use std::io::{self, IsTerminal as _, Write};

use anstream::{AutoStream, ColorChoice, adapter::strip_bytes, adapter::strip_str};

use crate::{
    sink::{
        blocked::Watched,
        characters,
        lines::heading_line,
        messages::{self, USUAL_WIDTH},
    },
    view::{Page, View, layout::plain::plain, parts::clean::clean},
};

/// Moves the cursor to the upper left.
const HOME: &[u8] = b"\x1b[H";
/// Clears the rest of a line. It stands before the line's text: behind a text as wide as the terminal it would clear
/// its last character.
const CLEAR_LINE: &[u8] = b"\x1b[K";
/// Clears all lines from the cursor on.
const CLEAR_BELOW: &[u8] = b"\x1b[J";

/// How items follow each other on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// There is only one, which should fit the terminal.
    Once,
    /// Each is written over the one before, and fits the terminal.
    InPlace,
    /// Each is below the one before, however long it is.
    Below,
}

/// The room that there is now on standard output.
pub fn page(on_terminal: bool) -> Page {
    // A pipe gets everything, whatever terminal the messages go to.
    let size = (on_terminal.then(terminal_size::terminal_size)).flatten();
    let known = |length: u16| Some(usize::from(length)).filter(|length| *length > 0);
    Page {
        width: on_terminal.then(|| {
            let width = size.and_then(|(width, _)| known(width.0));
            width.unwrap_or(USUAL_WIDTH)
        }),
        height: size.and_then(|(_, height)| known(height.0)),
        ascii: characters::are_ascii(),
    }
}

/// Writes each item at once.
pub struct Screen<T: ?Sized> {
    view: Box<dyn View<T>>,
    follow: Follow,
    first: bool,
}

impl<T: ?Sized> Screen<T> {
    /// A screen.
    #[must_use]
    pub fn new(view: Box<dyn View<T>>, follow: Follow) -> Self {
        Self {
            view,
            follow,
            first: true,
        }
    }

    /// Whether items replace each other: on a terminal, for people.
    #[must_use]
    pub fn is_redrawn(&self) -> bool {
        self.follow == Follow::InPlace
            && !self.view.is_for_programs()
            && io::stdout().is_terminal()
            && characters::terminal_is_capable()
    }

    /// Shows an item.
    ///
    /// # Errors
    /// When the output cannot be written; `BrokenPipe` when its reader has gone.
    pub fn show(&mut self, item: &T) -> io::Result<()> {
        for warning in self.view.warnings(item) {
            messages::tell(clean(&warning));
        }
        let page = self.page();
        if self.view.is_for_programs() {
            let mut out = Watched(io::stdout().lock());
            self.write(item, &page, &mut out)?;
            return out.flush();
        }
        let mut text = Vec::new();
        let in_place = page.height.is_some() && self.is_redrawn();
        if in_place {
            text.extend(heading_line(&*self.view));
            self.view.write(item, &page, &mut text)?;
            let below = std::mem::replace(&mut self.first, false)
                .then_some(page.height)
                .flatten();
            return print(&text, |text| over_the_last(text, below));
        }
        self.write(item, &page, &mut text)?;
        print(&text, <[u8]>::to_vec)
    }

    /// The room there is. A pipe gets everything, whatever terminal the messages go to.
    fn page(&self) -> Page {
        let on_terminal = !self.view.is_for_programs() && io::stdout().is_terminal();
        let page = page(on_terminal);
        Page {
            height: page.height.filter(|_| self.follow != Follow::Below),
            ..page
        }
    }

    /// Writes the item with what separates it from the one before.
    fn write(&mut self, item: &T, page: &Page, out: &mut dyn Write) -> io::Result<()> {
        let first = std::mem::replace(&mut self.first, false);
        if !self.view.is_for_programs() && !first {
            out.write_all(b"\n")?;
        }
        if first {
            out.write_all(&heading_line(&*self.view))?;
        }
        self.view.write(item, page, out)
    }

    /// Prints the summary at the end: below the output, or on standard error if the output is for
    /// programs.
    ///
    /// # Errors
    /// The same as [`show`](Self::show).
    pub fn end(&mut self, summary: impl FnOnce(Page) -> String) -> io::Result<()> {
        if self.view.is_for_programs() {
            messages::print(strip_str(&summary(Page::UNLIMITED)));
            return Ok(());
        }
        let text = format!("\n{}\n", summary(self.page()));
        print(text.as_bytes(), <[u8]>::to_vec)
    }
}

/// Prints text for people, as `place` places it: without colours if they are not wanted (no terminal, `NO_COLOR`,
/// `TERM=dumb`), and in ASCII if it must be.
fn print(text: &[u8], place: impl FnOnce(&[u8]) -> Vec<u8>) -> io::Result<()> {
    let mut out = Watched(io::stdout().lock());
    let mut text = text.to_vec();
    if AutoStream::choice(&io::stdout()) == ColorChoice::Never {
        text = strip_bytes(&text).into_vec();
    }
    if characters::are_ascii() {
        text = plain(&String::from_utf8_lossy(&text)).into_owned().into();
    }
    out.write_all(&place(&text))?;
    out.flush()
}

/// The lines over those on the screen, and nothing below them. The first time, what is on the screen of so many lines is
/// moved up: it stays in the terminal's history.
fn over_the_last(text: &[u8], first_on: Option<usize>) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 * text.len());
    if let Some(height) = first_on {
        out.extend(std::iter::repeat_n(b'\n', height.saturating_sub(1)));
    }
    out.extend_from_slice(HOME);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        out.extend_from_slice(CLEAR_LINE);
        out.extend_from_slice(line);
    }
    out.extend_from_slice(CLEAR_BELOW);
    out
}

#[cfg(test)]
mod tests {
    use super::{Follow, Page, Screen, View, over_the_last};

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

    fn shown(for_programs: bool) -> String {
        let mut screen = Screen::new(Box::new(Numbers { for_programs }), Follow::Below);
        let mut text = Vec::new();
        for item in [1, 2] {
            let written = screen.write(&item, &Page::UNLIMITED, &mut text);
            written.expect("memory takes it");
        }
        String::from_utf8(text).expect("ASCII")
    }

    #[test]
    fn the_heading_comes_first_at_every_beginning() {
        assert_eq!(shown(false), "NUMBER\n1\n\n2\n");
        assert_eq!(shown(true), "NUMBER\n1\n2\n");
    }

    #[test]
    fn a_look_is_written_over_the_last_and_never_clears_the_screen() {
        let text = |first| String::from_utf8(over_the_last(b"a\nb\n", first)).expect("ASCII");
        assert_eq!(text(None), "\x1b[H\x1b[Ka\n\x1b[Kb\n\x1b[J");
        assert_eq!(text(Some(3)), "\n\n\x1b[H\x1b[Ka\n\x1b[Kb\n\x1b[J");
        assert!(!text(Some(3)).contains("2J"));
    }
}
