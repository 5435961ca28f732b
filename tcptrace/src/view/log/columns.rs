//! The columns of a log on a terminal. Later lines are not known yet, so widths are those of usual values. A longer
//! value moves the next ones to the right, as far as these have no room before them.

use crate::view::log::pieces::width;

/// How many columns there are.
pub const COLUMNS: usize = 7;
const GAP: usize = 2;
const TIME: usize = 12;
/// As wide as `python3[17833]`, and as `systemd-resolve[123456]` where there is room.
const PROCESS: usize = 14;
const LONG_PROCESS: usize = 23;
const KNOWN_BY: usize = 8;
/// As wide as `CLOSE_WAIT -> (still open)`; a longer one has the room before the next column.
const FROM_TO: usize = 26;
const STATE: usize = 11;
/// As wide as `≥2m 06s`.
const AFTER: usize = 7;
/// As wide as `:44850 to 192.168.100.1:8080`, and as any IPv4 connection where there is room.
const CONNECTION: usize = 28;
const LONG_CONNECTION: usize = 34;
const NETNS: usize = 10;

/// From which width on each level is used: from all columns to a single one. A log is about processes and states
/// first, then about connections.
const FROM_WIDTH: [usize; 8] = [117, 107, 95, 72, 56, 44, 28, 0];

/// Which columns there are, and how wide they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// How many of KNOWN BY, NETNS, FROM, TIME, AFTER, CONNECTION and PROCESS have left, in this order.
    gone: usize,
    process: usize,
    connection: usize,
}

impl Layout {
    /// That for a terminal with this width; all columns for `None`.
    pub fn of(terminal: Option<usize>) -> Self {
        let wide = terminal.unwrap_or(usize::MAX);
        let gone = FROM_WIDTH.iter().position(|from| *from <= wide);
        let mut layout = Self::narrowest(gone.unwrap_or(FROM_WIDTH.len() - 1));
        // Columns get what is to spare.
        let spare = wide.saturating_sub(layout.width());
        layout.process = PROCESS.saturating_add(spare).min(LONG_PROCESS);
        let spare = spare.saturating_sub(LONG_PROCESS - PROCESS);
        layout.connection = CONNECTION.saturating_add(spare).min(LONG_CONNECTION);
        layout
    }

    fn narrowest(gone: usize) -> Self {
        Self {
            gone,
            process: PROCESS,
            connection: CONNECTION,
        }
    }

    /// The next one with fewer columns: what they leave is for what is too long.
    pub fn narrower(self) -> Option<Self> {
        let gone = self.gone + 1;
        (gone < FROM_WIDTH.len()).then_some(Self::narrowest(gone))
    }

    /// How many values stand below the names of their columns also where a line is too long: a column that says less than
    /// that helps leaves first.
    pub fn keeps_aligned(self) -> usize {
        match self.gone {
            0 => 4,
            1 => 3,
            _ => 0,
        }
    }

    /// Whether names are shortened before more columns leave.
    pub fn may_shorten(self) -> bool {
        self.gone >= 3
    }

    fn has_from(self) -> bool {
        self.gone < 3
    }

    fn width(self) -> usize {
        let columns = [
            (self.gone < 4, TIME),
            (self.gone < 7, self.process),
            (self.gone < 1, KNOWN_BY),
            (self.has_from(), FROM_TO),
            (!self.has_from(), STATE),
            (self.gone < 5, AFTER),
            (self.gone < 6, self.connection),
            (self.gone < 2, NETNS),
        ];
        let widths = columns.iter().filter(|(has, _)| *has);
        widths.map(|(_, width)| width + GAP).sum::<usize>() - GAP
    }

    /// Appends the names of the columns.
    pub fn heading(self, out: &mut Vec<u8>) {
        let mut line = Line::new(self, COLUMNS, out);
        line.time(|out| out.extend_from_slice(b"TIME (UTC)"));
        line.process(|out| out.extend_from_slice(b"PROCESS"));
        line.known_by(|out| out.extend_from_slice(b"KNOWN BY"));
        line.state(|out, with_from| {
            out.extend_from_slice(if with_from { b"FROM -> TO" } else { b"STATE" });
        });
        line.after(|out| out.extend_from_slice(b"AFTER"));
        line.connection(|out| out.extend_from_slice(b"CONNECTION"));
        line.netns(|out| out.extend_from_slice(b"NETNS"));
    }
}

/// A line that is being written. Each value is written only if its column is there.
pub struct Line<'a> {
    layout: Layout,
    /// How many more values stand below the names of their columns: the others follow closely.
    aligned: usize,
    out: &'a mut Vec<u8>,
    /// Columns of the terminal that are written.
    written: usize,
    /// Where the next column begins.
    begins: usize,
}

impl<'a> Line<'a> {
    /// Nothing is written yet. `aligned`: how many values stand below the names of their columns, from the left.
    pub fn new(layout: Layout, aligned: usize, out: &'a mut Vec<u8>) -> Self {
        Self {
            layout,
            aligned,
            out,
            written: 0,
            begins: 0,
        }
    }

    /// Its time, which has the width of its column.
    pub fn time(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.layout.gone < 4 {
            self.left(TIME, write);
        }
    }

    /// The process.
    pub fn process(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.layout.gone < 7 {
            self.left(self.layout.process, write);
        }
    }

    /// How that is known.
    pub fn known_by(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.layout.gone < 1 {
            self.left(KNOWN_BY, write);
        }
    }

    /// The state; `write` also takes whether the one before it is to be there.
    pub fn state(&mut self, write: impl FnOnce(&mut Vec<u8>, bool)) {
        match self.layout.has_from() {
            true => self.left(FROM_TO, |out| write(out, true)),
            false => self.left(STATE, |out| write(out, false)),
        }
    }

    /// The duration, on the right of its column.
    pub fn after(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.layout.gone >= 5 {
            return;
        }
        let start = self.out.len();
        write(self.out);
        let wide = width(&self.out[start..]);
        let gap = self.gap((self.begins + AFTER).saturating_sub(wide));
        let text = self.out.len() - start;
        self.out.resize(self.out.len() + gap, b' ');
        self.out[start..].rotate_left(text);
        self.written += gap + wide;
        self.begins += AFTER + GAP;
    }

    /// The connection.
    pub fn connection(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.layout.gone < 6 {
            self.left(self.layout.connection, write);
        }
    }

    /// The network namespace.
    pub fn netns(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.layout.gone < 2 {
            self.left(NETNS, write);
        }
    }

    /// What comes after the columns; returns how many columns of the terminal are written in all.
    pub fn end(self, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let start = self.out.len();
        write(self.out);
        self.written + width(&self.out[start..])
    }

    fn left(&mut self, column: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let gap = self.gap(self.begins);
        self.out.resize(self.out.len() + gap, b' ');
        let start = self.out.len();
        write(self.out);
        self.written += gap + width(&self.out[start..]);
        self.begins += column + GAP;
    }

    /// How many spaces there are before what is to begin there.
    fn gap(&mut self, begins: usize) -> usize {
        let is_aligned = self.aligned > 0;
        self.aligned = self.aligned.saturating_sub(1);
        match self.written {
            0 => 0,
            written if is_aligned => begins.saturating_sub(written).max(GAP),
            _ => GAP,
        }
    }
}
