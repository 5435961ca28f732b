//! Numbers by state on one screen, the worst first.

use std::fmt::Write as _;

use tcptrace_common::TcpState;

use crate::{
    model::states::{counts::Counts, member::NoSocket, report::Report},
    view::{
        Page, View,
        layout::{
            headline::headline,
            table::{self, Column, right},
            wrap::{cut, wrap},
        },
        parts::{
            caveat,
            clean::clean,
            stamp::second,
            style::{BESIDE, HEADING, WARNING},
        },
        states::{
            below::{Below, below},
            rows::{self, CONNECTED, Row, cells, connected},
        },
    },
};

/// Rows shown without a screen that they have to fit on.
const ROWS_WITHOUT_SCREEN: usize = 50;
/// Rows for which the lines below the table leave.
const LEAST_ROWS: usize = 4;
/// From this width on the states of closing always have a column, and there are sums.
const WIDE: usize = 120;

/// The states that connections go through while they are closed.
const CLOSING: [TcpState; 4] = [
    TcpState::FinWait1,
    TcpState::FinWait2,
    TcpState::CloseWait,
    TcpState::LastAck,
];

/// A table, and what it does not have.
pub struct Text {
    top: Option<usize>,
    filters: String,
    live: bool,
}

impl Text {
    /// With at most this many rows, of what passes these filters. What is `live` fits on the screen, whatever the
    /// number of rows.
    #[must_use]
    pub fn new(top: Option<usize>, filters: &str, live: bool) -> Self {
        Self {
            top,
            filters: clean(filters),
            live,
        }
    }
}

impl View<Report> for Text {
    fn show(&mut self, report: &Report, page: &Page, out: &mut Vec<u8>) {
        out.extend_from_slice(self.render(report, *page).as_bytes());
    }
}

impl Text {
    /// The numbers as text, with colours.
    pub(super) fn render(&self, report: &Report, page: Page) -> String {
        let rows = rows::rows(report);
        let wide = page.width.is_none_or(|width| width >= WIDE);
        let shown = |row: &&Row| {
            let counts = &row.counts;
            let others = counts.remainders() + counts.no_socket(NoSocket::HalfOpen);
            connected(counts) > 0
                || wide && counts.residue > 0
                || !report.by.is_empty() && others > 0
        };
        let shown: Vec<&Row> = rows.iter().filter(shown).collect();
        let mut screen = Screen {
            headline: headline(&counted(report), Some(&second(report.time)), page),
            filters: match self.filters.as_str() {
                "" => Vec::new(),
                filters => wrap("", &format!("Only what passes {filters} is counted."), page),
            },
            rows: self.top.unwrap_or(match page.height {
                None => ROWS_WITHOUT_SCREEN,
                Some(_) => usize::MAX,
            }),
            has_rows: shown.len(),
            has_change: report.before.is_some(),
            has_gap: true,
            below: below(report, &rows, page),
            caveats: (caveat::texts(&report.caveats).iter())
                .map(|text| wrap("! ", &clean(text), page))
                .collect(),
        };
        if let Some(height) = page.height {
            screen.fit(height, self.top.filter(|_| !self.live), page);
        }
        screen.text(
            |count| table(report, &shown[..count.min(shown.len())], wide, page),
            page,
        )
    }
}

/// How many there are of what.
fn counted(report: &Report) -> String {
    let all = &report.all;
    let number = |count: u64, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    let mut text = number(connected(all), "socket", "sockets");
    if report.processes > 0 {
        let processes = number(report.processes as u64, "process", "processes");
        let _ = write!(text, " of {processes}");
    }
    if all.residue > 0 {
        let _ = write!(text, ", {} residue", all.residue);
    }
    if all.remainders() > 0 {
        let remainders = number(all.remainders(), "remainder", "remainders");
        let _ = write!(text, ", {remainders}");
    }
    text
}

/// The parts of the screen.
struct Screen {
    headline: Vec<String>,
    filters: Vec<String>,
    /// The most rows.
    rows: usize,
    has_rows: usize,
    has_change: bool,
    /// Whether a blank line is above what stands below the table.
    has_gap: bool,
    below: Vec<Below>,
    caveats: Vec<Vec<String>>,
}

impl Screen {
    /// Lines of everything but the rows.
    fn without_rows(&self) -> usize {
        let below = self.below.iter().map(|one| one.lines.len()).sum::<usize>()
            + self.caveats.iter().map(Vec::len).sum::<usize>();
        let table = match self.has_rows {
            0 => 0,
            // A blank line, the heads of the columns, and the sum.
            _ => 3 + usize::from(self.has_change) + usize::from(self.shown_rows() < self.has_rows),
        };
        let gap = usize::from(below > 0 && self.has_gap);
        self.headline.len() + self.filters.len() + table + gap + below
    }

    fn shown_rows(&self) -> usize {
        self.rows.min(self.has_rows)
    }

    /// Leaves out what matters least until the rest fits; all of the `wanted` rows stay.
    fn fit(&mut self, height: usize, wanted: Option<usize>, page: Page) {
        // The cursor needs a line.
        let height = height.saturating_sub(1);
        let fits = |screen: &Self, rows: usize| screen.without_rows() + rows <= height;
        let asked = self.shown_rows();
        if fits(self, asked) {
            return;
        }
        for caveat in &mut self.caveats {
            *caveat = cut(std::mem::take(caveat), 1, page);
        }
        self.filters = cut(std::mem::take(&mut self.filters), 1, page);
        let most = (height / 4).max(1);
        let left_out = (self.caveats.len() + 1).saturating_sub(most);
        if left_out > 1 {
            self.caveats.truncate(most - 1);
            let more = format!("{left_out} more: --json");
            self.caveats.push(cut(wrap("! ", &more, page), 1, page));
        }
        if fits(self, self.shown_rows()) {
            return;
        }
        if wanted.is_none() {
            // One row less is a line more that says so.
            self.rows = self.shown_rows().saturating_sub(1).min(LEAST_ROWS);
        }
        while !fits(self, self.shown_rows()) {
            let last = (0..self.below.len()).max_by_key(|index| self.below[*index].leaves);
            match last {
                Some(last) => drop(self.below.remove(last)),
                None if self.has_change => self.has_change = false,
                None if self.has_gap => self.has_gap = false,
                None => break,
            }
        }
        if wanted.is_none() {
            let room = height.saturating_sub(self.without_rows());
            // The last row takes no more room than the line that says that it is missing.
            self.rows = match asked == self.has_rows && room + 1 >= asked {
                true => asked,
                false => room.clamp(1, asked.max(1)),
            };
        }
    }

    /// All of it, with colours; `table` has its head first, then so many rows and the sums.
    fn text(&self, table: impl FnOnce(usize) -> Vec<String>, page: Page) -> String {
        let mut text = String::new();
        let mut add = |lines: &[String], style: anstyle::Style| {
            for line in lines {
                let _ = match style {
                    style if style.is_plain() => writeln!(text, "{line}"),
                    style => writeln!(text, "{style}{line}{style:#}"),
                };
            }
        };
        let (plain, blank) = (anstyle::Style::new(), [String::new()]);
        add(&self.headline, HEADING);
        add(&self.filters, plain);
        if self.has_rows > 0 {
            let table = table(self.shown_rows());
            let (head, lines) = table.split_at(1.min(table.len()));
            let (rows, sums) = lines.split_at(self.shown_rows().min(lines.len()));
            add(&blank, plain);
            add(head, HEADING);
            add(rows, plain);
            match self.has_rows - self.shown_rows() {
                0 => {}
                1 => add(&wrap("", "… 1 more row: --top N", page), BESIDE),
                more => {
                    let more = format!("… {more} more rows: --top N");
                    add(&wrap("", &more, page), BESIDE);
                }
            }
            let most = 1 + usize::from(self.has_change);
            add(&sums[..most.min(sums.len())], plain);
        }
        if self.has_gap && !(self.below.is_empty() && self.caveats.is_empty()) {
            add(&blank, plain);
        }
        for one in &self.below {
            add(&one.lines, plain);
        }
        for caveat in &self.caveats {
            add(caveat, WARNING);
        }
        text
    }
}

/// The rows and their sum. Where a server's connections come from leaves before the whole column.
fn table(report: &Report, rows: &[&Row], wide: bool, page: Page) -> Vec<String> {
    let lines = table_with(report, rows, wide, true, page);
    let has_all = |lines: &[String]| {
        lines
            .first()
            .is_some_and(|head| head.contains("CONNECTION"))
    };
    match report.by.is_empty() && !has_all(&lines) {
        true => table_with(report, rows, wide, false, page),
        false => lines,
    }
}

fn table_with(report: &Report, rows: &[&Row], wide: bool, from: bool, page: Page) -> Vec<String> {
    let all = &report.all;
    let states: Vec<TcpState> = (CONNECTED.into_iter())
        .filter(|state| all.of(*state) > 0 || wide && CLOSING.contains(state))
        .collect();
    let kinds: Vec<NoSocket> = (NoSocket::ALL.iter().copied())
        .filter(|kind| !report.by.is_empty() && all.no_socket(*kind) > 0)
        .collect();
    let mut columns: Vec<Column> = states.iter().map(|state| state_column(*state)).collect();
    if wide {
        columns.push(right("TOTAL").extra(13));
        columns.push(right("RESIDUE").extra(3));
    }
    columns.extend(kinds.iter().map(|kind| match kind {
        NoSocket::TimeWait => right("TIME_WAIT").extra(10),
        NoSocket::FinWait2Remainder => right("FIN_WAIT2 REMAINDER").extra(11),
        NoSocket::HalfOpen => right("HALF-OPEN").extra(12),
    }));
    columns.extend(rows::columns(&report.by));
    let numbers = |counts: &Counts| -> Vec<u64> {
        let sums = [connected(counts), counts.residue];
        let states = states.iter().map(|state| counts.of(*state));
        let kinds = kinds.iter().map(|kind| counts.no_socket(*kind));
        let sums = sums.into_iter().filter(|_| wide);
        states.chain(sums).chain(kinds).collect()
    };
    let count = |count: &u64| match count {
        // So that figures stand out.
        0 => ".".to_owned(),
        count => count.to_string(),
    };
    let mut lines: Vec<Vec<String>> = (rows.iter())
        .map(|row| {
            let numbers: Vec<_> = numbers(&row.counts).iter().map(count).collect();
            [numbers, cells(row, &report.by, from, page)].concat()
        })
        .collect();
    let padded = |mut row: Vec<String>, name: &str| {
        row.push(name.into());
        row.resize(columns.len(), String::new());
        row
    };
    lines.push(padded(numbers(all).iter().map(count).collect(), "all"));
    if let Some(before) = &report.before {
        let changed = |(now, before): (u64, u64)| match i128::from(now) - i128::from(before) {
            0 => ".".to_owned(),
            change => format!("{change:+}"),
        };
        let both = numbers(all).into_iter().zip(numbers(before));
        lines.push(padded(both.map(changed).collect(), "change"));
    }
    table::lines(&columns, &lines, page)
}

/// On a narrow terminal the states with the highest number leave first; those in which sockets get stuck stay longest.
fn state_column(state: TcpState) -> Column<'static> {
    let column = right(state.name());
    match state {
        TcpState::CloseWait => column,
        TcpState::FinWait2 => column.rank(1),
        TcpState::Established => column.extra(4),
        TcpState::LastAck => column.extra(5),
        TcpState::FinWait1 => column.extra(6),
        TcpState::SynSent => column.extra(7),
        TcpState::Closing => column.extra(8),
        _ => column.extra(9),
    }
}
