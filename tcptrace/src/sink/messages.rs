//! Standard error: the only place that writes to it, so that nothing hostile gets there, whoever chose the text.
//! If it cannot be written, there is nowhere to say so, and the session goes on.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use unicode_width::UnicodeWidthStr as _;

use crate::{
    sink::{blocked, characters},
    view::{
        Page,
        layout::{plain::plain, wrap::wrap},
        parts::clean::message,
    },
};

/// The width of a terminal that does not tell it.
pub const USUAL_WIDTH: usize = 80;

/// Moves the cursor to the beginning of the line and clears the line.
const CLEAR: &str = "\r\x1b[K";

/// Prints a message with the program's name before it.
pub fn tell(text: impl Display) {
    print(format_args!("tcptrace: {text}"));
}

/// Prints why the program ends, with its name before it: wrapped at words where a terminal shows it.
pub fn explain(text: &str) {
    print(explained(text, page()));
}

/// The room for messages.
fn page() -> Page {
    Page {
        width: width(),
        height: None,
        ascii: characters::are_ascii(),
    }
}

/// The lines; those that a terminal would break are wrapped below their own beginnings.
fn fitted(text: &str, page: Page) -> String {
    let Some(width) = page.width else {
        return text.to_owned();
    };
    let lines = text.split('\n').flat_map(|line| {
        let text = line.trim_start();
        let indent = &line[..line.len() - text.len()];
        match line.width() <= width {
            true => vec![line.to_owned()],
            false => wrap(indent, text, page),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The lines, each wrapped below its own beginning.
fn explained(text: &str, page: Page) -> String {
    let text = message(text);
    let lines = text.lines().enumerate().flat_map(|(index, line)| {
        let text = line.trim_start();
        let indent = &line[..line.len() - text.len()];
        match (index, text.strip_prefix("try: ")) {
            (0, _) => wrap("tcptrace: ", line, page),
            (_, Some(advice)) => wrap(&format!("{indent}try: "), advice, page),
            (_, None) => wrap(indent, text, page),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Prints a text and ends its last line. No line is wider than the terminal, if that is where it goes.
pub fn print(text: impl Display) {
    let mut text = fitted(&message(&text.to_string()), page());
    text.push('\n');
    write(&text);
}

/// The width of the terminal, if that is where messages go; `None` otherwise.
#[must_use]
pub fn width() -> Option<usize> {
    let err = io::stderr();
    if !err.is_terminal() {
        return None;
    }
    let size = terminal_size::terminal_size_of(&err);
    let width = size.map(|(width, _)| usize::from(width.0));
    Some(width.filter(|width| *width > 0).unwrap_or(USUAL_WIDTH))
}

/// Shows a text in place of the current line, on a terminal.
pub fn replace_line(text: impl Display) {
    write(&format!("{CLEAR}{}", message(&text.to_string())));
}

/// At once, so that lines of other programs do not come between.
fn write(text: &str) {
    let text = match characters::are_ascii() {
        true => plain(text),
        false => text.into(),
    };
    let _ = blocked::watch(|| io::stderr().write_all(text.as_bytes()));
}

/// Prints a short message without waiting for a reader: not at all if there is no room. It does without the lock,
/// which may belong to whoever waits.
pub fn tell_if_there_is_room(text: &str) {
    let err = io::stderr();
    let mut fds = [PollFd::new(&err, PollFlags::OUT)];
    // A pipe that can be written to has room for 4096 bytes.
    if poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0) {
        let _ = rustix::io::write(&err, format!("tcptrace: {}\n", message(text)).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_is_too_wide_is_wrapped() {
        let at = |width| fitted("  a  b\n  one two three", Page::UNLIMITED.with_width(width));
        assert_eq!(at(None), "  a  b\n  one two three");
        assert_eq!(at(Some(10)), "  a  b\n  one two\n  three");
    }

    #[test]
    fn what_went_wrong_is_wrapped_below_its_beginning() {
        let text = "--comm nosuch: no process has this name\n  350 sockets of 4 other processes are stuck: \
                    haproxy, java, python3 (2)\n  try: tcptrace --comm java";
        let at = |width| explained(text, Page::UNLIMITED.with_width(width));
        assert_eq!(at(None), format!("tcptrace: {text}"));
        insta::assert_snapshot!([at(Some(80)), at(Some(60)), at(Some(30))].join("\n----\n"));
    }

    proptest! {
        #[test]
        fn no_line_is_wider(lines in prop::collection::vec("( {0,2}[a-zé→: ]{0,50})", 1..4), width in 14_usize..200) {
            for ascii in [false, true] {
                let page = Page { ascii, ..Page::UNLIMITED.with_width(Some(width)) };
                let text = explained(&lines.join("\n"), page);
                prop_assert!(text.lines().all(|line| line.width() <= width), "{text}");
            }
        }
    }
}
