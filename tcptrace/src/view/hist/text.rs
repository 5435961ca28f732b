//! Histograms for people.

use std::{
    fmt::Write as _,
    time::{Duration, UNIX_EPOCH},
};

use anstyle::Style;
use tcptrace_common::{Ending, TcpState};

use crate::{
    model::hist::{
        durations::Spread,
        histogram::Histogram,
        report::{Extent, KeyDurations, Report},
    },
    view::{
        Page, View,
        hist::{
            bars,
            label::{self, round, short, wrapped},
            rows::{Counts, Row, rows},
            warnings::warnings,
        },
        layout::{
            plain,
            table::{self, left, right},
        },
        parts::{
            age::age,
            clean::clean,
            style::{HEADING, WARNING},
        },
    },
};

/// Keys shown per state by default.
const TOP: usize = 10;
/// Characters in a line without a terminal.
const WIDTH: usize = 80;
/// The longest and the shortest bar, in characters.
const BARS: (usize, usize) = (60, 4);

/// Histograms as bars, with colours.
pub struct Text {
    top: usize,
    filters: String,
}

impl Text {
    /// Shows at most this many keys per state, of what passes these filters.
    #[must_use]
    pub fn new(top: Option<usize>, filters: &str) -> Self {
        Self {
            top: top.unwrap_or(TOP),
            filters: clean(filters),
        }
    }
}

impl View<Report> for Text {
    fn show(&mut self, report: &Report, page: &Page, out: &mut Vec<u8>) {
        let width = page.width.unwrap_or(WIDTH);
        out.extend_from_slice(
            render(report, self.top, width, page.ascii, &self.filters).as_bytes(),
        );
    }
}

/// The report as text, with colours.
fn render(report: &Report, top: usize, width: usize, only_ascii: bool, filters: &str) -> String {
    let mut text = String::new();
    let mut line = |line: &str, style: Style| {
        let line = if only_ascii {
            plain::plain(line)
        } else {
            line.into()
        };
        for line in wrapped(&line, width) {
            let _ = match style {
                style if style == Style::new() => writeln!(text, "{line}"),
                style => writeln!(text, "{style}{line}{style:#}"),
            };
        }
    };
    line(&headline(report), HEADING);
    for warning in warnings(report) {
        line(&format!("warning: {}", clean(&warning)), WARNING);
    }
    let (shown, hidden) = report.top(top);
    for state in &report.selection.states {
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
        // If all states were requested, empty ones are left out.
        if !any && (report.selection.states.len() < 3 || *state == TcpState::CloseWait) {
            line("", Style::new());
            let which = match filters {
                "" => "no socket".to_owned(),
                filters => format!("no socket that passes {filters}"),
            };
            line(
                &format!("{}: {which} was in it", state.name()),
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
    let by: Vec<_> = report.selection.by.iter().map(|part| part.name()).collect();
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

fn title(report: &Report, group: &KeyDurations) -> String {
    let state = group.state.name();
    match &group.key {
        _ if report.selection.by.is_empty() => state.to_owned(),
        Some(key) => format!("{state}  {}", label::key(&report.selection.by, key)),
        None => format!("{state}  other"),
    }
}

/// The lines below the title of a group.
fn block(report: &Report, group: &KeyDurations, width: usize, only_ascii: bool) -> Vec<String> {
    let spread = &group.spread;
    let mut lines: Vec<String> = Vec::new();
    for part in counts(spread, word(group.state)) {
        match lines.last_mut() {
            // Parts share a line as long as they fit.
            Some(line) if line.chars().count() + part.chars().count() + 2 <= width => {
                *line += "; ";
                *line += &part;
            }
            _ => lines.push(format!("  {part}")),
        }
    }
    let durations = report.for_quantiles(spread);
    if let Some(quantiles) = quantiles(&durations, report.include_open) {
        lines.push(format!("  {}: {quantiles}", word(group.state)));
    }
    lines.extend(drawn(group, width, only_ascii));
    lines
}

/// The word for an ordinary end. Nothing but its process ends CLOSE_WAIT in an orderly way.
fn word(state: TcpState) -> &'static str {
    match state {
        TcpState::CloseWait => "closed",
        _ => "finished",
    }
}

fn counts(spread: &Spread, word: &str) -> Vec<String> {
    let mut parts = vec![format!("{} {word}", spread.closed().exact.count())];
    for (ending, what) in [
        (Ending::ResetStillOpen, "reset, still open (residue)"),
        (Ending::Reset, "reset, open in no process"),
        (
            Ending::ToRemainder,
            "to remainders (closed before the FIN came)",
        ),
        (Ending::Unknown, "ended, not known how"),
    ] {
        let count = spread.ended(ending).count();
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    if let Some(oldest) = spread.open.longest() {
        let (open, oldest) = (spread.open.count(), age(oldest.ns, true));
        parts.push(format!(
            "{open} still in it so far, the oldest for {oldest}"
        ));
    }
    let before = [&spread.closed().at_least, &spread.open_at_least];
    let longest = before.map(|durations| durations.longest());
    if let Some(longest) = longest
        .into_iter()
        .flatten()
        .map(|longest| longest.ns)
        .max()
    {
        let [finished, open] = before.map(Histogram::count);
        let longest = age(longest, false);
        parts.push(format!(
            "from before the start {finished} {word} and {open} still in it, the longest for {longest}"
        ));
    }
    let unknown = spread.closed().unknown;
    if unknown > 0 {
        parts.push(format!("{unknown} of unknown duration"));
    }
    parts
}

fn quantiles(durations: &Histogram, include_open: bool) -> Option<String> {
    let value = |per_mille| Some(short(durations.quantile(per_mille)?.ns));
    let (p50, p90, p99) = (value(500)?, value(900)?, value(990)?);
    let longest = durations.longest()?;
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

fn drawn(group: &KeyDurations, width: usize, only_ascii: bool) -> Vec<String> {
    let rows = rows(&group.spread);
    if rows.is_empty() {
        return Vec::new();
    }
    let counts = rows.iter().filter_map(|row| match row {
        Row::Counts { counts, .. } => Some(counts),
        Row::Nothing => None,
    });
    let most = counts.clone().map(Counts::sum).max().unwrap_or(0);
    let used = |kind: fn(&Counts) -> u64| counts.clone().any(|counts| kind(counts) > 0);
    let kinds = [
        used(|c| c.finished),
        used(|c| c.reset),
        used(|c| c.open),
        used(|c| c.at_least),
    ];
    let bars = bars::Bars::new(most, kinds, only_ascii);
    let (finished, legend) = (word(group.state), bars.legend(word(group.state)));
    let head = finished.to_uppercase();
    let columns = |legend| {
        [
            right("FROM"),
            right(&head).rank(1),
            right("RESET").rank(3),
            right("SO FAR").rank(2),
            right("AT LEAST").rank(4),
            left(legend).extra(5),
        ]
    };
    let cells = |bar_width: usize| -> Vec<Vec<String>> {
        let row = |row: &Row| match row {
            Row::Counts { from_ns, counts } => {
                let count = |kind: usize, count: u64| match kinds[kind] {
                    true => count.to_string(),
                    false => String::new(),
                };
                vec![
                    format!("  {}", round(*from_ns)),
                    count(0, counts.finished),
                    count(1, counts.reset),
                    count(2, counts.open),
                    count(3, counts.at_least),
                    bars.bar(counts, bar_width),
                ]
            }
            Row::Nothing => std::iter::once("⋮".into())
                .chain(std::iter::repeat_n(String::new(), 5))
                .collect(),
        };
        rows.iter().map(row).collect()
    };
    // The bars get the width that the numbers leave, and their legend, too.
    let numbers = table::lines(&columns(""), &cells(0), Page::UNLIMITED);
    let used = numbers.iter().map(|line| line.chars().count()).max();
    let room = width.saturating_sub(used.unwrap_or(0) + 2);
    let legend = Some(&legend[..]).filter(|legend| legend.chars().count() <= room);
    let columns = columns(legend.unwrap_or_default());
    let cells = cells(room.clamp(BARS.1, BARS.0));
    table::lines(&columns, &cells, Page::UNLIMITED.with_width(Some(width)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::caveat::Caveat;
    use crate::{
        model::{hist::key::Part, transition::StateDuration},
        view::hist::fixtures::{durations, report},
    };

    fn plain(report: &Report, width: usize, only_ascii: bool) -> String {
        let text = render(report, TOP, width, only_ascii, "");
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn the_most_time_in_a_state_comes_first() {
        insta::assert_snapshot!(plain(&report(&[Part::Pid], 512, false), 80, false));
    }

    #[test]
    fn a_narrow_terminal_has_short_bars_and_ascii_is_ascii() {
        let report = report(&[], 512, true);
        let text = plain(&report, 44, true);
        assert!(text.is_ascii(), "{text}");
        insta::assert_snapshot!(text);
        for width in [1, 10, 30] {
            let text = plain(&report, width, false);
            assert!(
                text.lines().all(|line| line.chars().count() <= width),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let mut report = report(&[Part::Comm], 1, false);
        report.account.unkeyed = 101;
        report.account.lost = 3;
        report.account.untracked = 2;
        report.account.skipped = Some(4);
        report.account.unfollowed = 1;
        report.caveats = vec![Caveat::DamagedLines {
            count: 1,
            first: vec![3],
            reason: "\x1b[31m".into(),
        }];
        insta::assert_snapshot!(plain(&report, 100, false));
    }

    #[test]
    fn what_no_process_ended_stands_apart() {
        let mut report = report(&[Part::Comm], 512, false);
        let group = &mut report.groups[0];
        for (ending, count) in [
            (Ending::ResetStillOpen, 3),
            (Ending::Reset, 1),
            (Ending::Unknown, 2),
        ] {
            for _ in 0..count {
                group.spread.end(ending, StateDuration::Exact(20_000_000));
            }
        }
        let mut remainders = group.clone();
        (remainders.state, remainders.spread) = (TcpState::FinWait2, Spread::default());
        let end = (Ending::ToRemainder, StateDuration::Exact(4_000));
        remainders.spread.end(end.0, end.1);
        report.groups.truncate(1);
        report.groups.push(remainders);
        report.selection.states = vec![TcpState::CloseWait, TcpState::FinWait2];
        insta::assert_snapshot!(plain(&report, 80, false));
    }

    #[test]
    fn the_top_is_cut_and_says_so() {
        let report = report(&[Part::Comm], 512, false);
        let text = render(&report, 1, 80, false, "--pid 4");
        assert!(
            text.contains("CLOSE_WAIT: … and 2 more (--top shows more)"),
            "{text}"
        );
        assert!(!text.contains("nginx"), "{text}");
    }

    #[test]
    fn hostile_names_do_not_reach_the_terminal() {
        let mut report = report(&[Part::Comm], 512, false);
        for key in report
            .groups
            .iter_mut()
            .filter_map(|group| group.key.as_mut())
        {
            key.comm = Some("\x1b]0;owned\x07\u{9b}2J\n".into());
        }
        for only_ascii in [false, true] {
            let text = plain(&report, 200, only_ascii);
            assert!(
                !text.contains(|c: char| c.is_control() && c != '\n'),
                "{text:?}"
            );
        }
    }

    #[test]
    fn nothing_is_one_line() {
        let mut report = report(&[], 1, false);
        report.groups.clear();
        let text = plain(&report, 80, false);
        assert!(
            text.ends_with("CLOSE_WAIT: no socket was in it\n\nLAST_ACK: no socket was in it\n")
        );
        assert_eq!(durations(&[], 1).keys(), 1);
    }
}
