//! Histograms for people.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    time::{Duration, UNIX_EPOCH},
};

use anstyle::{AnsiColor, Style};
use tcptrace_common::TcpState;

use super::{
    View,
    label::{self, ascii, round, short},
    rows::{Row, rows},
};
use crate::{
    model::{
        durations::Spread,
        histogram::Histogram,
        report::{Extent, Group, Report},
    },
    view::{
        age::age,
        clean::clean,
        table::{self, Column, left, right},
    },
};

const HEADING: Style = Style::new().bold();
const WARNING: Style = AnsiColor::Yellow.on_default();
/// Keys shown of each state where nobody says how many.
const TOP: usize = 10;
/// Characters in a line where there is no screen.
const WIDTH: usize = 80;
/// The longest and the shortest bar, in characters.
const BARS: (usize, usize) = (60, 4);

/// Writes histograms to standard output.
pub struct Text {
    top: usize,
    ascii: bool,
    first: bool,
}

impl Text {
    /// Shows so many keys of each state, with nothing but ASCII if that is wanted.
    #[must_use]
    pub fn new(top: Option<usize>, ascii: bool) -> Self {
        Self {
            top: top.unwrap_or(TOP),
            ascii,
            first: true,
        }
    }
}

impl View for Text {
    fn report(&mut self, report: &Report) -> io::Result<()> {
        let width = terminal_size::terminal_size().map_or(WIDTH, |(width, _)| width.0.into());
        let mut text = if self.first {
            String::new()
        } else {
            "\n".into()
        };
        self.first = false;
        text.push_str(&render(report, self.top, width, self.ascii));
        // Drops colours where they are not wanted: no terminal, NO_COLOR, TERM=dumb.
        let mut out = anstream::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

/// The report as text, with colours.
pub fn render(report: &Report, top: usize, width: usize, only_ascii: bool) -> String {
    let mut text = String::new();
    let mut line = |line: &str, style: Style| {
        let line = if only_ascii { ascii(line) } else { line.into() };
        let cut: String = line.chars().take(width).collect();
        let _ = match style {
            style if style == Style::new() => writeln!(text, "{cut}"),
            style => writeln!(text, "{style}{cut}{style:#}"),
        };
    };
    line(&headline(report), HEADING);
    for warning in report.warnings() {
        line(&format!("warning: {}", clean(&warning)), WARNING);
    }
    let (shown, hidden) = report.top(top);
    for state in &report.asked.states {
        let groups = shown.iter().filter(|group| group.state == *state);
        let mut any = false;
        for group in groups {
            any = true;
            line("", Style::new());
            line(&title(report, group), HEADING);
            for row in block(report, group, width, only_ascii) {
                line(&row, Style::new());
            }
        }
        // Of all states only those matter in which there was something.
        if !any && (report.asked.states.len() < 3 || *state == TcpState::CloseWait) {
            line("", Style::new());
            line(
                &format!("{}: no socket was in it", state.name()),
                Style::new(),
            );
        }
        if let Some((_, count)) = hidden.iter().find(|(of, _)| of == state) {
            let name = state.name();
            line("", Style::new());
            line(
                &format!("{name}: … and {count} more (--top shows more)"),
                Style::new(),
            );
        }
    }
    text
}

fn headline(report: &Report) -> String {
    let length = age(report.length_ns, true);
    let extent = match report.extent {
        Extent::Interval => format!("The last {length}"),
        Extent::Whole => format!("All of {length}"),
    };
    let by: Vec<_> = report.asked.by.iter().map(|part| part.name()).collect();
    let by = match by[..] {
        [] => String::new(),
        _ => format!(" by {}", by.join(", ")),
    };
    let until = report.time.map_or_else(String::new, |time| {
        let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let whole = UNIX_EPOCH + Duration::from_secs(seconds.as_secs());
        format!("   {}", humantime::format_rfc3339_seconds(whole))
    });
    format!("{extent}: durations{by}{until}")
}

fn title(report: &Report, group: &Group) -> String {
    let state = group.state.name();
    match &group.key {
        _ if report.asked.by.is_empty() => state.to_owned(),
        Some(key) => format!("{state}  {}", label::key(&report.asked.by, key)),
        None => format!("{state}  other"),
    }
}

/// What is said of a group, below its title.
fn block(report: &Report, group: &Group, width: usize, only_ascii: bool) -> Vec<String> {
    let spread = &group.spread;
    let mut lines = vec![format!("  {}", counts(spread))];
    let told = report.told(spread);
    if let Some(quantiles) = quantiles(&told, report.include_open) {
        lines.push(format!("  {quantiles}"));
    }
    lines.extend(drawn(spread, width, only_ascii));
    lines
}

fn counts(spread: &Spread) -> String {
    let mut parts = vec![format!("{} finished", spread.finished.count())];
    let open = spread.open.count() + spread.open_at_least.count();
    if open > 0 {
        let oldest = [&spread.open, &spread.open_at_least].map(|ages| ages.longest());
        let (exact, at_least) = (
            oldest[0].map_or(0, |oldest| oldest.ns),
            oldest[1].map_or(0, |oldest| oldest.ns),
        );
        let oldest = age(exact.max(at_least), exact > at_least);
        parts.push(format!(
            "{open} still in it so far, the oldest for {oldest}"
        ));
    }
    let before = spread.open_at_least.count();
    if before > 0 {
        parts.push(format!("{before} of those since before the start"));
    }
    let at_least = spread.at_least.count();
    if let Some(longest) = spread.at_least.longest() {
        let longest = age(longest.ns, false);
        parts.push(format!(
            "{at_least} more finished that began before the start (at least; up to {longest})"
        ));
    }
    if spread.unknown > 0 {
        parts.push(format!("{} of unknown duration", spread.unknown));
    }
    parts.join("; ")
}

fn quantiles(told: &Histogram, include_open: bool) -> Option<String> {
    let value = |per_mille| Some(short(told.quantile(per_mille)?.ns));
    let (p50, p90, p99) = (value(500)?, value(900)?, value(990)?);
    let longest = told.longest()?;
    let most = if longest.exact { "" } else { "≤" };
    let max = short(longest.ns);
    let open = if include_open {
        "   with those so far"
    } else {
        ""
    };
    Some(format!(
        "p50 {p50}   p90 {p90}   p99 {p99}   (each ±6.25 %)   max {most}{max}{open}"
    ))
}

const COLUMNS: [Column; 4] = [right("FROM"), right("FINISHED"), right("SO FAR"), left("")];

fn drawn(spread: &Spread, width: usize, only_ascii: bool) -> Vec<String> {
    let rows = rows(spread);
    let most = rows.iter().map(|row| match row {
        Row::Counts { finished, open, .. } => finished + open,
        Row::Nothing => 0,
    });
    let most = most.max().unwrap_or(0);
    let any_finished = spread.finished.count() + spread.at_least.count() > 0;
    let any_open = spread.open.count() + spread.open_at_least.count() > 0;
    let cells = |bar_width: usize| -> Vec<Vec<String>> {
        let row = |row: &Row| match *row {
            Row::Counts {
                from_ns,
                finished,
                open,
            } => vec![
                format!("  {}", round(from_ns)),
                if any_finished {
                    finished.to_string()
                } else {
                    String::new()
                },
                if any_open {
                    open.to_string()
                } else {
                    String::new()
                },
                bar(finished, open, most, bar_width, only_ascii),
            ],
            Row::Nothing => vec!["⋮".into(), String::new(), String::new(), String::new()],
        };
        rows.iter().map(row).collect()
    };
    if rows.is_empty() {
        return Vec::new();
    }
    // As wide as the numbers leave room for.
    let numbers = table::lines(&COLUMNS, &cells(0));
    let used = numbers.iter().map(|line| line.chars().count()).max();
    let room = width.saturating_sub(used.unwrap_or(0) + 2);
    table::lines(&COLUMNS, &cells(room.clamp(BARS.1, BARS.0)))
}

/// A bar whose full length stands for `most`: what has ended, and behind it what has not. What
/// there is can be seen, however little.
fn bar(finished: u64, open: u64, most: u64, width: usize, only_ascii: bool) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = |count: u64| {
        let length = u128::from(count) * width as u128 * 8;
        let length = length.div_ceil(u128::from(most.max(1)));
        usize::try_from(length).unwrap_or(usize::MAX)
    };
    let (all, done) = (eighths(finished + open), eighths(finished));
    if only_ascii || open > 0 {
        let (full, light) = if only_ascii {
            ('#', '.')
        } else {
            ('█', '░')
        };
        let least = |eighths: usize| {
            eighths / 8 + usize::from(eighths % 8 >= 4 || (1..8).contains(&eighths))
        };
        let done = least(done);
        let ahead = least(all).max(done + usize::from(open > 0 && width > 0));
        let rest = ahead.saturating_sub(done);
        let full = std::iter::repeat_n(full, done);
        return full.chain(std::iter::repeat_n(light, rest)).collect();
    }
    format!("{}{}", "█".repeat(done / 8), EIGHTHS[done % 8])
}
