//! Aligned text. The columns have fixed widths, because later lines are not known yet. A longer
//! value pushes the rest of its line to the right.

use std::time::SystemTime;

use anstyle::{AnsiColor, Style};
use tcptrace_common::{Ending, TcpState};

use crate::{
    model::{
        owner::{KnownBy, Owner, Process},
        socket::{Endpoint, Identity, Precision, Socket, shown_form},
        transition::{Loss, Record, StillOpen, Transition},
    },
    view::{
        Page, View,
        parts::{
            address, age, clean, number,
            stamp::Stamp,
            style::{HEADING, WARNING},
        },
    },
};

/// The state that leaked sockets are in.
const LEAKING: Style = AnsiColor::Red.on_default();

/// As wide as `java[4194304]` needs with a comm of 12.
const PROCESS: usize = 21;
const KNOWN_BY: usize = 8;
const FROM: usize = 11;
/// As wide as `NEW_SYN_RECV` and `(still open)`.
const TO: usize = 12;
const DURATION: usize = 8;
/// As wide as any IPv4 address with its port.
const ENDPOINT: usize = 21;

/// The medium that the text is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// Short times, optionally with colours.
    Screen {
        /// Whether colours are wanted.
        colour: bool,
    },
    /// Times with their date, no colours: a file may be read days later.
    File,
}

/// Makes lines of text.
#[derive(Debug)]
pub struct Text {
    medium: Medium,
    own_netns: Option<u32>,
    heading: String,
    stamp: Stamp,
}

impl Text {
    /// Lines name network namespaces other than the one with inode number `own_netns`.
    #[must_use]
    pub fn new(medium: Medium, own_netns: Option<u32>) -> Self {
        let time = match medium {
            Medium::Screen { .. } => "01:20:04.120".len(),
            Medium::File => "2026-11-23T01:20:04.120Z".len(),
        };
        let heading = format!(
            "{:time$}  {:PROCESS$}  {:KNOWN_BY$}  {:>FROM$} -> {:TO$}  {:>DURATION$}  \
             {:ENDPOINT$}  REMOTE",
            "TIME (UTC)", "PROCESS", "KNOWN BY", "FROM", "TO", "AFTER", "LOCAL"
        );
        let mut text = Self {
            medium,
            own_netns,
            heading: String::new(),
            stamp: Stamp::default(),
        };
        text.heading = if text.coloured() {
            format!("{HEADING}{heading}{HEADING:#}")
        } else {
            heading
        };
        text
    }

    fn coloured(&self) -> bool {
        self.medium == Medium::Screen { colour: true }
    }

    fn transition(&mut self, transition: &Transition, out: &mut Vec<u8>) {
        self.begin(transition.time, transition.owner(), out);
        self.state(transition.from, Side::Right(FROM), out);
        out.extend_from_slice(b" -> ");
        self.state(transition.to, Side::Left(TO), out);
        match transition.duration.known() {
            Some((ns, precision)) => duration(ns, precision == Precision::Exact, out),
            None => {
                out.extend_from_slice(b"  ");
                column(out, Side::Right(DURATION), |out| out.push(b'?'));
            }
        }
        self.ends(&transition.socket, out);
        let owner = transition.owner().map(|owner| owner.process.pid);
        if let Some(caller) = &transition.caller
            && owner != Some(caller.pid)
        {
            out.extend_from_slice(b"  by ");
            process(caller, out);
        }
        Self::opened_by(transition.opener.as_ref(), transition.user.as_ref(), out);
        if transition.ending == Ending::ResetStillOpen {
            out.extend_from_slice(b"  residue");
        }
    }

    fn still_open(&mut self, still: &StillOpen, out: &mut Vec<u8>) {
        let socket = &still.socket;
        let candidates = socket.candidates();
        match candidates.is_empty() {
            true => self.begin(still.time, socket.logged_owner(), out),
            false => self.begin_unknown(still.time, KnownBy::Listener.name(), out),
        }
        self.state(socket.state, Side::Right(FROM), out);
        out.extend_from_slice(b" -> ");
        column(out, Side::Left(TO), |out| {
            out.extend_from_slice(b"(still open)");
        });
        duration(still.age_ns(), socket.since.is_exact(), out);
        self.ends(&socket.identity, out);
        Self::opened_by(socket.opener.as_ref(), socket.user.as_ref(), out);
        held_by(socket, out);
        for (index, (pid, comm)) in candidates.into_iter().enumerate() {
            out.extend_from_slice(if index == 0 {
                b"  to be accepted by "
            } else {
                b" or "
            });
            process(&Process::named((pid, comm)), out);
        }
        if still.residue_of.is_some() {
            out.extend_from_slice(b"  residue");
        }
    }

    fn loss(&mut self, loss: &Loss, out: &mut Vec<u8>) {
        let style = if self.coloured() {
            WARNING
        } else {
            Style::new()
        };
        append_style(out, style, false);
        out.extend_from_slice(b"# lost:");
        for (number, what) in [
            (loss.transitions, "transitions (--buffer makes room)"),
            (loss.sockets, "sockets (--max-sockets makes room)"),
            (loss.runs, "runs of the programs, skipped by the kernel"),
        ] {
            if number > 0 {
                out.push(b' ');
                number::append(out, number);
                out.push(b' ');
                out.extend_from_slice(what.as_bytes());
                out.push(b',');
            }
        }
        out.extend_from_slice(b" noticed at ");
        self.time(loss.time, out);
        append_style(out, style, true);
    }

    fn begin(&mut self, time: SystemTime, owner: Option<&Owner>, out: &mut Vec<u8>) {
        let Some(owner) = owner else {
            return self.begin_unknown(time, "?", out);
        };
        self.begin_with(time, owner.known_by.name(), out, |out| {
            process(&owner.process, out);
        });
    }

    /// The process is not known, or one of several.
    fn begin_unknown(&mut self, time: SystemTime, known_by: &str, out: &mut Vec<u8>) {
        self.begin_with(time, known_by, out, |out| out.push(b'?'));
    }

    fn begin_with(
        &mut self,
        time: SystemTime,
        known_by: &str,
        out: &mut Vec<u8>,
        process: impl FnOnce(&mut Vec<u8>),
    ) {
        self.time(time, out);
        out.extend_from_slice(b"  ");
        column(out, Side::Left(PROCESS), process);
        out.extend_from_slice(b"  ");
        column(out, Side::Left(KNOWN_BY), |out| {
            out.extend_from_slice(known_by.as_bytes());
        });
        out.extend_from_slice(b"  ");
    }

    /// Who has opened it, if another process uses it now.
    fn opened_by(opener: Option<&Owner>, user: Option<&Owner>, out: &mut Vec<u8>) {
        if let (Some(opener), Some(_)) = (opener, user) {
            out.extend_from_slice(match opener.known_by {
                KnownBy::Listener => b"  came in at ",
                KnownBy::Fd => b"  earlier of ",
                _ => b"  opened by ",
            });
            process(&opener.process, out);
        }
    }

    fn time(&mut self, time: SystemTime, out: &mut Vec<u8>) {
        let (second, ns) = self.stamp.at(time);
        let whole = match self.medium {
            Medium::Screen { .. } => &second["2026-11-23T".len()..],
            Medium::File => second,
        };
        out.extend_from_slice(whole.as_bytes());
        out.push(b'.');
        number::append_padded(out, 3, ns / 1_000_000);
        if self.medium == Medium::File {
            out.push(b'Z');
        }
    }

    fn state(&self, state: TcpState, side: Side, out: &mut Vec<u8>) {
        let marked = state == TcpState::CloseWait && self.coloured();
        let style = if marked { LEAKING } else { Style::new() };
        let name = state.name();
        let (before, after) = match side {
            Side::Left(width) => (0, width.saturating_sub(name.len())),
            Side::Right(width) => (width.saturating_sub(name.len()), 0),
        };
        spaces(out, before);
        append_style(out, style, false);
        out.extend_from_slice(name.as_bytes());
        append_style(out, style, true);
        spaces(out, after);
    }

    fn ends(&self, socket: &Identity, out: &mut Vec<u8>) {
        out.extend_from_slice(b"  ");
        column(out, Side::Left(ENDPOINT), |out| endpoint(socket.local, out));
        out.extend_from_slice(b"  ");
        endpoint(socket.remote, out);
        if let Some(netns) = socket.netns.filter(|netns| Some(*netns) != self.own_netns) {
            out.extend_from_slice(b"  netns ");
            number::append(out, netns);
        }
    }
}

impl View<Record> for Text {
    fn show(&mut self, record: &Record, _: &Page, out: &mut Vec<u8>) {
        match record {
            Record::Transition(transition) => self.transition(transition, out),
            Record::StillOpen(still) => self.still_open(still, out),
            Record::Loss(loss) => self.loss(loss, out),
        }
        out.push(b'\n');
    }

    fn heading(&self) -> Option<&str> {
        Some(&self.heading)
    }
}

/// Which side of a column of this width the text is aligned to.
#[derive(Debug, Clone, Copy)]
enum Side {
    Left(usize),
    Right(usize),
}

/// Appends what `write` appends, padded with spaces.
fn column(out: &mut Vec<u8>, side: Side, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let width = characters(&out[start..]);
    match side {
        Side::Left(column) => spaces(out, column.saturating_sub(width)),
        Side::Right(column) => {
            let missing = column.saturating_sub(width);
            spaces(out, missing);
            out[start..].rotate_right(missing);
        }
    }
}

/// In UTF-8 every byte of a character except the first begins with the bits 10.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

fn spaces(out: &mut Vec<u8>, count: usize) {
    out.resize(out.len() + count, b' ');
}

fn append_style(out: &mut Vec<u8>, style: Style, end: bool) {
    use std::io::Write as _;

    if !style.is_plain() {
        // Writing to memory does not fail.
        let _ = if end {
            write!(out, "{style:#}")
        } else {
            write!(out, "{style}")
        };
    }
}

fn process(process: &Process, out: &mut Vec<u8>) {
    clean::append(out, &process.comm);
    out.push(b'[');
    match process.pid {
        Some(pid) => number::append(out, pid),
        None => out.push(b'?'),
    }
    out.push(b']');
}

/// The processes that have it open, unless that is only the one at the beginning of the line.
fn held_by(socket: &Socket, out: &mut Vec<u8>) {
    let holders = socket.holders.as_deref().unwrap_or_default();
    let owner = socket.logged_owner().and_then(|owner| owner.process.pid);
    if holders.iter().all(|holder| Some(holder.pid) == owner) {
        return;
    }
    let mut last = None;
    for (index, holder) in holders.iter().enumerate() {
        if last.replace(holder.pid) == Some(holder.pid) {
            continue;
        }
        out.extend_from_slice(if index == 0 { b"  held by " } else { b", " });
        let (pid, comm) = (holder.pid, &*holder.comm);
        process(&Process::named((pid, comm)), out);
    }
}

fn duration(ns: u64, exact: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b"  ");
    column(out, Side::Right(DURATION), |out| {
        if !exact {
            out.extend_from_slice("≥".as_bytes());
        }
        age::append(out, ns);
    });
}

fn endpoint(end: Endpoint, out: &mut Vec<u8>) {
    let address = shown_form(end.address);
    let v6 = address.is_ipv6();
    if v6 {
        out.push(b'[');
    }
    address::append(out, address);
    out.extend_from_slice(if v6 { b"]:" } else { b":" });
    match end.port {
        0 => out.push(b'?'),
        port => number::append(out, port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixtures::NETNS, view::log::fixtures};

    fn text(medium: Medium, records: &[Record]) -> String {
        let mut lines = Text::new(medium, Some(NETNS));
        let mut out = lines.heading().expect("text has one").as_bytes().to_vec();
        out.push(b'\n');
        for record in records {
            lines.show(record, &Page::UNLIMITED, &mut out);
        }
        String::from_utf8(out).expect("text is UTF-8")
    }

    #[test]
    fn columns_stand_below_their_names() {
        let medium = Medium::Screen { colour: false };
        insta::assert_snapshot!(text(medium, &fixtures::all()));
    }

    #[test]
    fn a_file_has_dates() {
        insta::assert_snapshot!(text(Medium::File, &fixtures::all()));
    }

    #[test]
    fn colours_are_only_additions() {
        let coloured = text(Medium::Screen { colour: true }, &fixtures::all());
        let plain = text(Medium::Screen { colour: false }, &fixtures::all());
        assert_ne!(coloured, plain);
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
        let marked = format!("{LEAKING}CLOSE_WAIT{LEAKING:#}");
        assert_eq!(coloured.matches(&marked).count(), 6, "{coloured}");
    }

    #[test]
    fn hostile_names_stay_in_their_line() {
        let record = fixtures::of(7, "\x1b[2J\u{9b}\n名");
        let text = text(Medium::File, &[record]);
        assert_eq!(text.lines().count(), 2, "{text}");
        let hostile = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(hostile), "{text}");
        assert!(text.contains(r"\u{1b}[2J\u{9b}\n名[7]"), "{text}");
    }
}
