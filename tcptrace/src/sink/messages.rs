//! Standard error: the only place that writes to it, so that nothing hostile gets there, whoever chose the text.
//! If it cannot be written, there is nowhere to say so, and the session goes on.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    sink::{blocked, characters},
    view::{layout::plain::plain, parts::clean::message},
};

/// The width of a terminal that does not tell it.
pub const USUAL_WIDTH: usize = 80;

/// Moves the cursor to the beginning of the line and clears the line.
const CLEAR: &str = "\r\x1b[K";

/// Prints a message with the program's name before it.
pub fn tell(text: impl Display) {
    print(format_args!("tcptrace: {text}"));
}

/// Prints a text and ends its last line.
pub fn print(text: impl Display) {
    let mut text = message(&text.to_string());
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
