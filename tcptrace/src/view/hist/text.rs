//! Histograms for people.

use std::fmt::Write as _;

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
            drawn::drawn,
            label::{self, at_most, short},
            warnings::warnings,
        },
        layout::{
            headline::headline,
            wrap::{cut, parts, wrap},
        },
        parts::{
            age::age,
            clean::clean,
            stamp::second,
            style::{BESIDE, HEADING, WARNING},
        },
    },
};

/// Keys shown per state by default.
const TOP: usize = 10;
/// More states than this are not named in the first line.
const NAMED_STATES: usize = 3;

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
        out.extend_from_slice(render(report, self.top, &self.filters, *page).as_bytes());
    }
}

/// Lines with their styles.
type Lines = Vec<(Style, String)>;

/// A histogram, or what is said in place of one.
#[derive(Default)]
struct Block {
    /// What it is of, how many, how long.
    head: Lines,
    /// The bars.
    bars: Lines,
}

/// The report as text, with colours. One that is refreshed fits on the screen; the others are whole.
pub(super) fn render(report: &Report, top: usize, filters: &str, page: Page) -> String {
    let height = page.height.filter(|_| report.extent == Extent::SoFar);
    let when = report.time.map(second);
    let mut lines: Lines = Vec::new();
    add(
        &mut lines,
        HEADING,
        headline(&span(report), when.as_deref(), page),
    );
    for warning in warnings(report) {
        let warning = wrap("! ", &clean(&warning), page);
        add(&mut lines, WARNING, warning);
    }
    let blocks = blocks(report, top, filters, page);
    match height {
        // The cursor needs a line, and so does what says how the session goes.
        Some(height) => fit(&mut lines, blocks, height.saturating_sub(1), report, page),
        None => {
            for block in blocks {
                lines.extend(block.head);
                lines.extend(block.bars);
            }
        }
    }
    let mut text = String::new();
    for (style, line) in lines {
        let _ = match style {
            style if style.is_plain() => writeln!(text, "{line}"),
            style => writeln!(text, "{style}{line}{style:#}"),
        };
    }
    text
}

fn add(lines: &mut Lines, style: Style, more: Vec<String>) {
    lines.extend(more.into_iter().map(|line| (style, line)));
}

/// Adds as much as there is room for: first what each histogram is of, then bars, those of the first before others.
fn fit(lines: &mut Lines, blocks: Vec<Block>, height: usize, report: &Report, page: Page) {
    let all = blocks
        .iter()
        .map(|block| block.head.len() + block.bars.len());
    if lines.len() + all.sum::<usize>() > height {
        // One line for each caveat, and for some of them only their number.
        let caveats = warnings(report);
        lines.retain(|(style, _)| *style != WARNING);
        let most = (height / 4).max(1);
        let shown = if caveats.len() > most { most - 1 } else { most };
        for caveat in caveats.iter().take(shown) {
            add(
                lines,
                WARNING,
                cut(wrap("! ", &clean(caveat), page), 1, page),
            );
        }
        if caveats.len() > shown {
            let more = format!("{} more at the end", caveats.len() - shown);
            add(lines, WARNING, cut(wrap("! ", &more, page), 1, page));
        }
    }
    let mut room = height.saturating_sub(lines.len());
    let needed: usize = blocks
        .iter()
        .map(|one| one.head.len() + one.bars.len())
        .sum();
    let is_whole = needed <= room;
    // Otherwise a line says so.
    room = room.saturating_sub(usize::from(!is_whole));
    let mut heads = 0;
    for block in &blocks {
        if block.head.len() > room {
            break;
        }
        room -= block.head.len();
        heads += 1;
    }
    for block in blocks.into_iter().take(heads) {
        lines.extend(block.head);
        if block.bars.len() <= room {
            room -= block.bars.len();
            lines.extend(block.bars);
        }
    }
    if !is_whole {
        let more = wrap("", "… the whole report comes at the end: Ctrl-C", page);
        add(lines, BESIDE, cut(more, 1, page));
    }
}

fn blocks(report: &Report, top: usize, filters: &str, page: Page) -> Vec<Block> {
    let mut blocks = Vec::new();
    let (shown, hidden) = report.top(top);
    let said = |style: Style, text: &str| {
        let mut head = vec![(Style::new(), String::new())];
        add(&mut head, style, wrap("", text, page));
        Block {
            head,
            bars: Vec::new(),
        }
    };
    for state in &report.selection.states {
        let name = state.name();
        let groups = shown.iter().filter(|group| group.state == *state);
        let before = blocks.len();
        blocks.extend(groups.map(|group| block(report, group, page)));
        // If all states were requested, empty ones are left out.
        let few = report.selection.states.len() < 3;
        if blocks.len() == before && (few || *state == TcpState::CloseWait) {
            let which = match filters {
                "" => "no socket".to_owned(),
                filters => format!("no socket that passes {filters}"),
            };
            blocks.push(said(Style::new(), &format!("{name}: {which} was in it")));
        }
        if let Some((_, count)) = hidden.iter().find(|(of, _)| of == state) {
            blocks.push(said(BESIDE, &format!("… {count} more in {name}: --top N")));
        }
    }
    blocks
}

/// Of how long the report is, and what is in it.
fn span(report: &Report) -> String {
    let length = age(report.length_ns, true);
    let extent = match report.extent {
        Extent::Interval => format!("The last {length}"),
        Extent::Whole => format!("All of {length}"),
        Extent::SoFar => format!("{length} so far"),
    };
    let states: Vec<_> = report
        .selection
        .states
        .iter()
        .map(|state| state.name())
        .collect();
    let states = match states.len() {
        ..=NAMED_STATES => states.join(" or "),
        _ => "each state".to_owned(),
    };
    let by: Vec<_> = report.selection.by.iter().map(|part| part.name()).collect();
    let by = match by[..] {
        [] => String::new(),
        _ => format!(", by {}", by.join(", ")),
    };
    format!("{extent}: how long in {states}{by}")
}

fn block(report: &Report, group: &KeyDurations, page: Page) -> Block {
    let mut block = Block::default();
    let mut title = vec![group.state.name().to_owned()];
    match &group.key {
        _ if report.selection.by.is_empty() => {}
        Some(key) => title.extend(label::key(&report.selection.by, key, page)),
        None => title.push("other".into()),
    }
    add(&mut block.head, Style::new(), vec![String::new()]);
    add(&mut block.head, HEADING, parts("", &title, "  ", page));
    let (spread, word) = (&group.spread, word(group.state));
    let counts = parts("  ", &counts(spread, word), "; ", page);
    add(&mut block.head, Style::new(), counts);
    let durations = report.for_quantiles(spread);
    if let Some(quantiles) = quantiles(&durations) {
        let of_what = match report.include_open {
            true => format!("  {word} and so far: "),
            false => format!("  {word}: "),
        };
        let quantiles = parts(&of_what, &quantiles, "  ", page);
        add(&mut block.head, Style::new(), quantiles);
    }
    for (index, line) in drawn(spread, word, page).into_iter().enumerate() {
        let style = if index == 0 { HEADING } else { Style::new() };
        block.bars.push((style, line));
    }
    block
}

/// The word for an ordinary end. Nothing but its process ends CLOSE_WAIT in an orderly way.
fn word(state: TcpState) -> &'static str {
    match state {
        TcpState::CloseWait => "closed",
        _ => "finished",
    }
}

/// How many ended in which way, and how many have not.
fn counts(spread: &Spread, word: &str) -> Vec<String> {
    let mut texts = vec![format!("{} {word}", spread.closed().exact.count())];
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
            texts.push(format!("{count} {what}"));
        }
    }
    if let Some(longest) = spread.closed().at_least.longest() {
        let (count, longest) = (spread.closed().at_least.count(), age(longest.ns, false));
        texts.push(format!(
            "{count} {word}, from before the start, the longest for {longest}"
        ));
    }
    if spread.closed().unknown > 0 {
        let count = spread.closed().unknown;
        texts.push(format!("{count} {word}, of unknown duration"));
    }
    if let Some(oldest) = spread.open.longest() {
        let (count, oldest) = (spread.open.count(), age(oldest.ns, true));
        texts.push(format!("{count} still in it, the oldest for {oldest}"));
    }
    if let Some(oldest) = spread.open_at_least.longest() {
        let (count, oldest) = (spread.open_at_least.count(), age(oldest.ns, false));
        texts.push(format!(
            "{count} still in it, from before the start, the oldest for {oldest}"
        ));
    }
    texts
}

fn quantiles(durations: &Histogram) -> Option<Vec<String>> {
    let value = |per_mille| Some(short(durations.quantile(per_mille)?.ns));
    let (p50, p90, p99) = (value(500)?, value(900)?, value(990)?);
    let longest = durations.longest()?;
    let longest = match longest.exact {
        true => short(longest.ns),
        false => format!("≤{}", at_most(longest.ns)),
    };
    Some(vec![
        format!("p50 {p50}"),
        format!("p90 {p90}"),
        format!("p99 {p99}"),
        format!("longest {longest}"),
        "(±6.25 %)".into(),
    ])
}
