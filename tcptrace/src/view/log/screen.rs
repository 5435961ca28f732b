//! A log on a terminal: a line is one line. Columns leave, whole, where a line would be wider than the terminal, and the
//! heading comes again with those that are left. What is still open at the end comes below, in groups.

use std::time::SystemTime;

use tcptrace_common::Ending;

use crate::{
    model::{
        open_groups::OpenGroups,
        socket::Precision,
        transition::{Loss, Record, Transition},
    },
    view::{
        Page, View,
        layout::{plain::ellipsis, wrap::wrap},
        log::{
            columns::{COLUMNS, Layout, Line},
            ends::{self, List},
            pieces::{self, Limits},
            text::{append_style, loss, style_if},
        },
        parts::{
            number,
            stamp::Stamp,
            style::{HEADING, WARNING},
        },
    },
};

/// As long as the kernel's names are: only those with escapes are longer.
const NAME: usize = 15;
/// As long as an IPv6 address can be.
const ADDRESS: usize = 39;
/// As short as names and addresses are made: a character at each end of the mark.
const SHORTEST: usize = 5;
/// `01:20:04.120`
const TIME: usize = 12;

/// Makes lines for a terminal.
pub struct Screen {
    colour: bool,
    /// Whether all sockets are listed that are still open at the end.
    all: bool,
    stamp: Stamp,
    /// The day of the last line: `2026-11-23`.
    day: String,
    width: Option<usize>,
    layout: Option<Layout>,
    /// A line that needs more than one try.
    narrow: Vec<u8>,
    open: OpenGroups,
}

/// How a line is tried.
#[derive(Debug, Clone, Copy)]
struct Try {
    layout: Layout,
    /// How many values stand below the names of their columns, from the left.
    aligned: usize,
    limits: Limits,
    /// Whether it has all that comes after its columns.
    whole: bool,
}

impl Screen {
    /// Nothing is shown yet. `all`: whether all sockets are listed that are still open at the end.
    #[must_use]
    pub fn new(colour: bool, all: bool) -> Self {
        Self {
            colour,
            all,
            stamp: Stamp::default(),
            day: String::new(),
            width: None,
            layout: None,
            narrow: Vec::new(),
            open: OpenGroups::default(),
        }
    }

    /// The time of a line. The day and the heading come before it where they are new.
    fn begin(&mut self, time: SystemTime, page: &Page, out: &mut Vec<u8>) -> [u8; TIME] {
        let (second, ns) = self.stamp.at(time);
        let (day, clock) = second.split_once('T').unwrap_or((second, ""));
        let mut text = Vec::with_capacity(TIME);
        text.extend_from_slice(clock.as_bytes());
        text.push(b'.');
        number::append_padded(&mut text, 3, ns / 1_000_000);
        let is_new = day != self.day;
        if is_new {
            day.clone_into(&mut self.day);
        }
        if is_new || self.layout.is_none() || page.width != self.width {
            self.width = page.width;
            let layout = Layout::of(page.width);
            self.layout = Some(layout);
            if is_new {
                self.styled(self.day.as_bytes(), out);
            }
            self.heading(layout, out);
        }
        text.try_into().unwrap_or([b'?'; TIME])
    }

    fn styled(&self, text: &[u8], out: &mut Vec<u8>) {
        let style = style_if(self.colour, HEADING);
        append_style(out, style, false);
        out.extend_from_slice(text);
        append_style(out, style, true);
        out.push(b'\n');
    }

    fn heading(&self, layout: Layout, out: &mut Vec<u8>) {
        let mut text = Vec::new();
        layout.heading(&mut text);
        self.styled(&text, out);
    }

    fn transition(&mut self, transition: &Transition, page: &Page, out: &mut Vec<u8>) {
        let time = self.begin(transition.time, page, out);
        let most = page.width.unwrap_or(usize::MAX);
        let mut layout = self.layout.unwrap_or(Layout::of(page.width));
        let start = out.len();
        // Nearly every line is done here.
        if write(transition, &time, whole(layout, page.ascii), out) > most {
            out.truncate(start);
            self.narrow.clear();
            while !fitting(
                transition,
                &time,
                layout,
                page.ascii,
                most,
                &mut self.narrow,
            ) {
                let Some(narrower) = layout.narrower() else {
                    // There is next to no room.
                    write(
                        transition,
                        &time,
                        whole(layout, page.ascii),
                        &mut self.narrow,
                    );
                    break;
                };
                layout = narrower;
            }
            if self.layout.replace(layout) != Some(layout) {
                self.heading(layout, out);
            }
            out.extend_from_slice(&self.narrow);
        }
        out.push(b'\n');
    }

    fn loss(&mut self, lost: &Loss, page: &Page, out: &mut Vec<u8>) {
        let time = self.begin(lost.time, page, out);
        let mut text = Vec::new();
        loss(lost, &time, &mut text);
        let style = style_if(self.colour, WARNING);
        for line in wrap("! ", &String::from_utf8_lossy(&text), *page) {
            append_style(out, style, false);
            out.extend_from_slice(line.as_bytes());
            append_style(out, style, true);
            out.push(b'\n');
        }
    }
}

impl View<Record> for Screen {
    fn show(&mut self, record: &Record, page: &Page, out: &mut Vec<u8>) {
        match record {
            Record::Transition(transition) => self.transition(transition, page, out),
            Record::StillOpen(still) => self.open.add(still),
            Record::Loss(loss) => self.loss(loss, page, out),
        }
    }

    fn end(&mut self, page: &Page, out: &mut Vec<u8>) {
        let list = if self.all { List::All } else { List::Few };
        let style = style_if(self.colour, HEADING);
        for line in ends::lines(&self.open, list, page, style) {
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        }
        self.open = OpenGroups::default();
    }
}

fn whole(layout: Layout, ascii: bool) -> Try {
    Try {
        layout,
        aligned: COLUMNS,
        limits: Limits {
            name: NAME,
            address: ADDRESS,
            ascii,
        },
        whole: true,
    }
}

/// Appends the line, if it fits into these columns.
fn fitting(
    transition: &Transition,
    time: &[u8],
    layout: Layout,
    ascii: bool,
    most: usize,
    out: &mut Vec<u8>,
) -> bool {
    let start = out.len();
    let mut fits = |how: Try| {
        out.truncate(start);
        write(transition, time, how, out) <= most
    };
    let whole = whole(layout, ascii);
    let close = |aligned: usize| Try { aligned, ..whole };
    if (layout.keeps_aligned()..COLUMNS)
        .rev()
        .any(|aligned| fits(close(aligned)))
    {
        return true;
    }
    // Names are shortened only when no other column can leave.
    if !layout.may_shorten() {
        out.truncate(start);
        return false;
    }
    let shorter = |how: Try, most: usize| Try {
        limits: Limits {
            name: most.min(NAME),
            address: most,
            ascii,
        },
        ..how
    };
    let short = |how: Try| Try {
        whole: false,
        ..how
    };
    for how in [close(0), short(whole), short(close(0))] {
        // The longest name gives first.
        let lengths = (SHORTEST..=ADDRESS).rev();
        for length in lengths {
            if fits(shorter(how, length)) {
                return true;
            }
        }
    }
    out.truncate(start);
    false
}

/// Appends the line without its end; returns how many columns it takes.
fn write(transition: &Transition, time: &[u8], how: Try, out: &mut Vec<u8>) -> usize {
    let Try { layout, limits, .. } = how;
    let mut line = Line::new(layout, how.aligned, out);
    line.time(|out| out.extend_from_slice(time));
    let owner = transition.owner();
    line.process(|out| match owner {
        Some(owner) => pieces::process(&owner.process, limits, out),
        None => out.push(b'?'),
    });
    line.known_by(|out| {
        let known_by = owner.map_or("?", |owner| owner.known_by.name());
        out.extend_from_slice(known_by.as_bytes());
    });
    line.state(|out, with_from| {
        if with_from {
            out.extend_from_slice(transition.from.name().as_bytes());
            out.extend_from_slice(b" -> ");
        }
        out.extend_from_slice(transition.to.name().as_bytes());
        if transition.ending == Ending::ResetStillOpen {
            out.extend_from_slice(b" residue");
        }
    });
    line.after(|out| match transition.duration.known() {
        Some((ns, precision)) => {
            pieces::duration(ns, precision == Precision::Exact, limits.ascii, out);
        }
        None => out.push(b'?'),
    });
    let socket = &transition.socket;
    line.connection(|out| {
        pieces::connection(socket.role, socket.local, socket.remote, limits, out)
    });
    line.netns(|out| match transition.socket.netns {
        Some(netns) => number::append(out, netns),
        None => out.push(b'?'),
    });
    line.end(|out| {
        let start = out.len();
        notes(transition, limits, out);
        if !how.whole && out.len() > start {
            out.truncate(start);
            out.push(b' ');
            out.extend_from_slice(ellipsis(limits.ascii).as_bytes());
        }
    })
}

/// Who else had to do with it.
fn notes(transition: &Transition, limits: Limits, out: &mut Vec<u8>) {
    let owner = transition.owner().map(|owner| owner.process.pid);
    if let Some(caller) = &transition.caller
        && owner != Some(caller.pid)
    {
        out.extend_from_slice(b"  by ");
        pieces::process(caller, limits, out);
    }
    if let (Some(opener), Some(_)) = (&transition.opener, &transition.user) {
        out.extend_from_slice(b"  ");
        out.extend_from_slice(pieces::opened_by(opener.known_by).as_bytes());
        pieces::process(&opener.process, limits, out);
    }
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
