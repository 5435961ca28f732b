//! Lines for a file or a pipe: aligned text with whole times and all columns, for it may be read days later. The columns
//! have fixed widths, because later lines are not known yet. A longer value pushes the rest of its line to the right.

use std::time::SystemTime;

use anstyle::Style;
use tcptrace_common::{Ending, TcpState};

use crate::{
    model::{
        owner::{KnownBy, Owner, Process},
        socket::{Identity, Precision, Socket},
        transition::{Loss, Record, StillOpen, Transition},
    },
    view::{
        Page, View,
        log::pieces::{self, Limits},
        parts::{
            number,
            stamp::Stamp,
            style::{HEADING, WARNING},
        },
    },
};

/// As wide as `java[4194304]` needs with a comm of 12.
const PROCESS: usize = 21;
const KNOWN_BY: usize = 8;
const FROM: usize = 11;
/// As wide as `NEW_SYN_RECV` and `(still open)`.
const TO: usize = 12;
const DURATION: usize = 8;
/// As wide as any IPv4 address with its port.
const ENDPOINT: usize = 21;

/// Makes lines of text.
#[derive(Debug)]
pub struct Text {
    colour: bool,
    own_netns: Option<u32>,
    heading: String,
    stamp: Stamp,
    limits: Limits,
}

impl Text {
    /// Lines name network namespaces other than the one with inode number `own_netns`.
    #[must_use]
    pub fn new(colour: bool, own_netns: Option<u32>) -> Self {
        let time = "2026-11-23T01:20:04.120Z".len();
        let heading = format!(
            "{:time$}  {:PROCESS$}  {:KNOWN_BY$}  {:>FROM$} -> {:TO$}  {:>DURATION$}  \
             {:ENDPOINT$}  REMOTE",
            "TIME (UTC)", "PROCESS", "KNOWN BY", "FROM", "TO", "AFTER", "LOCAL"
        );
        Self {
            colour,
            own_netns,
            heading: match colour {
                true => format!("{HEADING}{heading}{HEADING:#}"),
                false => heading,
            },
            stamp: Stamp::default(),
            limits: Limits::none(false),
        }
    }

    fn transition(&mut self, transition: &Transition, out: &mut Vec<u8>) {
        self.begin(transition.time, transition.owner(), out);
        state(transition.from, Side::Right(FROM), out);
        out.extend_from_slice(b" -> ");
        state(transition.to, Side::Left(TO), out);
        match transition.duration.known() {
            Some((ns, precision)) => self.duration(ns, precision == Precision::Exact, out),
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
            pieces::process(caller, self.limits, out);
        }
        self.opened_by(transition.opener.as_ref(), transition.user.as_ref(), out);
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
        state(socket.state, Side::Right(FROM), out);
        out.extend_from_slice(b" -> ");
        column(out, Side::Left(TO), |out| {
            out.extend_from_slice(b"(still open)");
        });
        self.duration(still.age_ns(), socket.since.is_exact(), out);
        self.ends(&socket.identity, out);
        self.opened_by(socket.opener.as_ref(), socket.user.as_ref(), out);
        held_by(socket, self.limits, out);
        for (index, (pid, comm)) in candidates.into_iter().enumerate() {
            out.extend_from_slice(if index == 0 {
                b"  to be accepted by "
            } else {
                b" or "
            });
            pieces::process(&Process::named((pid, comm)), self.limits, out);
        }
        if still.residue_of.is_some() {
            out.extend_from_slice(b"  residue");
        }
    }

    fn loss(&mut self, lost: &Loss, out: &mut Vec<u8>) {
        let style = style_if(self.colour, WARNING);
        append_style(out, style, false);
        out.extend_from_slice(b"! ");
        let mut time = Vec::new();
        self.time(lost.time, &mut time);
        loss(lost, &time, out);
        append_style(out, style, true);
    }

    fn begin(&mut self, time: SystemTime, owner: Option<&Owner>, out: &mut Vec<u8>) {
        let Some(owner) = owner else {
            return self.begin_unknown(time, "?", out);
        };
        let limits = self.limits;
        self.begin_with(time, owner.known_by.name(), out, |out| {
            pieces::process(&owner.process, limits, out);
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
    fn opened_by(&self, opener: Option<&Owner>, user: Option<&Owner>, out: &mut Vec<u8>) {
        if let (Some(opener), Some(_)) = (opener, user) {
            out.extend_from_slice(b"  ");
            out.extend_from_slice(pieces::opened_by(opener.known_by).as_bytes());
            pieces::process(&opener.process, self.limits, out);
        }
    }

    fn time(&mut self, time: SystemTime, out: &mut Vec<u8>) {
        let (second, ns) = self.stamp.at(time);
        out.extend_from_slice(second.as_bytes());
        out.push(b'.');
        number::append_padded(out, 3, ns / 1_000_000);
        out.push(b'Z');
    }

    fn duration(&self, ns: u64, exact: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(b"  ");
        column(out, Side::Right(DURATION), |out| {
            pieces::duration(ns, exact, self.limits.ascii, out);
        });
    }

    fn ends(&self, socket: &Identity, out: &mut Vec<u8>) {
        out.extend_from_slice(b"  ");
        column(out, Side::Left(ENDPOINT), |out| {
            pieces::endpoint(socket.local, self.limits, out);
        });
        out.extend_from_slice(b"  ");
        pieces::endpoint(socket.remote, self.limits, out);
        if let Some(netns) = socket.netns.filter(|netns| Some(*netns) != self.own_netns) {
            out.extend_from_slice(b"  netns ");
            number::append(out, netns);
        }
    }
}

impl View<Record> for Text {
    fn show(&mut self, record: &Record, page: &Page, out: &mut Vec<u8>) {
        self.limits.ascii = page.ascii;
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

fn state(state: TcpState, side: Side, out: &mut Vec<u8>) {
    let name = state.name();
    let (before, after) = match side {
        Side::Left(width) => (0, width.saturating_sub(name.len())),
        Side::Right(width) => (width.saturating_sub(name.len()), 0),
    };
    spaces(out, before);
    out.extend_from_slice(name.as_bytes());
    spaces(out, after);
}

/// The style, where colours are wanted.
pub fn style_if(colour: bool, style: Style) -> Style {
    if colour { style } else { Style::new() }
}

/// Appends the beginning or the `end` of a style.
pub fn append_style(out: &mut Vec<u8>, style: Style, end: bool) {
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

/// What was lost, and when that was noticed.
pub fn loss(loss: &Loss, time: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"lost:");
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
    out.extend_from_slice(time);
}

/// The processes that have it open, unless that is only the one at the beginning of the line.
fn held_by(socket: &Socket, limits: Limits, out: &mut Vec<u8>) {
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
        pieces::process(&Process::named((pid, comm)), limits, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixtures::NETNS, view::log::fixtures};

    fn text(colour: bool, page: &Page, records: &[Record]) -> String {
        let mut lines = Text::new(colour, Some(NETNS));
        let mut out = lines.heading().expect("text has one").as_bytes().to_vec();
        out.push(b'\n');
        for record in records {
            lines.show(record, page, &mut out);
        }
        String::from_utf8(out).expect("text is UTF-8")
    }

    #[test]
    fn a_file_has_dates() {
        insta::assert_snapshot!(text(false, &Page::UNLIMITED, &fixtures::all()));
    }

    #[test]
    fn a_file_is_ascii_where_text_is() {
        let page = Page {
            ascii: true,
            ..Page::UNLIMITED
        };
        let mut records = fixtures::all();
        records.push(fixtures::of(7, "näme"));
        let text = text(false, &page, &records);
        assert!(text.is_ascii(), "{text}");
        for words in [" 812us ", " >=3m 02s ", r"n\u{e4}me[7] "] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    #[test]
    fn the_heading_and_caveats_have_colours() {
        let records = fixtures::all();
        let coloured = text(true, &Page::UNLIMITED, &records);
        let plain = text(false, &Page::UNLIMITED, &records);
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
        let styled = coloured.lines().filter(|line| line.contains('\u{1b}'));
        let ends: Vec<_> = styled.filter_map(|line| line.get(..6)).collect();
        let (heading, warning) = (format!("{HEADING}TI"), format!("{WARNING}!"));
        assert_eq!(ends, [&heading[..6], &warning[..6]], "{coloured}");
    }

    #[test]
    fn hostile_names_stay_in_their_line() {
        let record = fixtures::of(7, "\x1b[2J\u{9b}\n名");
        let text = text(false, &Page::UNLIMITED, &[record]);
        assert_eq!(text.lines().count(), 2, "{text}");
        let hostile = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(hostile), "{text}");
        assert!(text.contains(r"\u{1b}[2J\u{9b}\n名[7]"), "{text}");
    }
}
