//! What stands below the table: what has no column, and what to do next.

use std::cmp::Reverse;

use tcptrace_common::TcpState;

use crate::{
    model::states::{
        member::NoSocket,
        report::{Report, Service},
    },
    view::{
        Page,
        layout::wrap::parts,
        states::rows::{Row, cells, connection, names, process},
    },
};

/// Listening ports that are named.
const NAMED_SERVICES: usize = 8;
/// Rows with residue that are named.
const NAMED_RESIDUE: usize = 3;
/// The width of labels, with the space behind them.
const LABEL: usize = 12;

/// Lines below the table that belong together.
#[derive(Debug)]
pub struct Below {
    /// Where there is little room, those with the highest number leave first.
    pub leaves: u8,
    /// The lines.
    pub lines: Vec<String>,
}

/// All of it, in the order in which it is shown.
pub fn below(report: &Report, rows: &[Row], page: Page) -> Vec<Below> {
    let all = &report.all;
    let closed = all.of(TcpState::Close).saturating_sub(all.residue);
    let numbers = [
        all.residue,
        all.remainders(),
        all.no_socket(NoSocket::HalfOpen),
        closed,
    ];
    let wide = numbers
        .iter()
        .max()
        .map_or(0, |most| most.to_string().len());
    let mut below = Vec::new();
    // Numbers stand below each other.
    let numbered = |label: &str, count: u64| {
        let digits = count.to_string().len();
        format!("{label:<LABEL$}{:pad$}", "", pad = wide - digits.min(wide))
    };
    let label = |label: &str| format!("{label:<LABEL$}");
    let mut add = |leaves: u8, label: String, texts: &[String], gap: &str| {
        let lines = parts(&label, texts, gap, page);
        below.push(Below { leaves, lines });
    };
    if all.residue > 0 {
        let texts = residue(report, rows, page);
        add(0, numbered("Residue:", all.residue), &texts, ", ");
    }
    let kept = [
        (NoSocket::TimeWait, "TIME_WAIT"),
        (NoSocket::FinWait2Remainder, "FIN_WAIT2"),
    ];
    let kept = kept.map(|(kind, name)| (all.no_socket(kind), name));
    let kept = kept.into_iter().filter(|(count, _)| *count > 0);
    let mut texts: Vec<String> = (kept.clone())
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    if let (Some((first, _)), Some(last)) = (kept.clone().next(), texts.last_mut()) {
        last.push_str(" of no process (they end by themselves)");
        add(2, numbered("Remainders:", first), &texts, ", ");
    }
    let half_open = all.no_socket(NoSocket::HalfOpen);
    if half_open > 0 {
        let text = "handshakes not complete: many mean lost packets or a SYN flood";
        let text = format!("{half_open} {text}");
        add(3, numbered("Half-open:", half_open), &[text], "");
    }
    if closed > 0 {
        let text = format!("{closed} open in a process, never connected");
        add(4, numbered("CLOSE:", closed), &[text], "");
    }
    if !report.services.is_empty() {
        let texts = listening(&report.services, page);
        add(5, label("Listening:"), &texts, " ");
    }
    if all.of(TcpState::CloseWait) > 0 {
        add(1, label("CLOSE_WAIT:"), &[next(report)], "");
    }
    below
}

/// Who has the most residue.
fn residue(report: &Report, rows: &[Row], page: Page) -> Vec<String> {
    let mut rows: Vec<&Row> = rows.iter().filter(|row| row.counts.residue > 0).collect();
    rows.sort_by_key(|row| Reverse(row.counts.residue));
    let whose = |row: &Row| match report.by.is_empty() {
        true if connection(row, true) == "-" => process(row, page),
        true => format!("{} {}", process(row, page), connection(row, true)),
        false => cells(row, &report.by, true, page).join(" "),
    };
    let mut texts: Vec<String> = (rows.iter().take(NAMED_RESIDUE))
        .map(|row| format!("{} {}", row.counts.residue, whose(row)))
        .collect();
    let others = rows.len().saturating_sub(NAMED_RESIDUE);
    if others > 0 {
        let count: u64 = rows[NAMED_RESIDUE..]
            .iter()
            .map(|row| row.counts.residue)
            .sum();
        texts.push(format!("{count} in {others} more"));
    }
    if let Some(first) = texts.first_mut().filter(|_| rows.len() > 1) {
        first.insert_str(0, &format!("{}: ", report.all.residue));
    }
    if let Some(last) = texts.last_mut() {
        last.push_str(" (dead, still open)");
    }
    texts
}

/// What listens, and whether something waits to be accepted.
fn listening(services: &[Service], page: Page) -> Vec<String> {
    // Those at which something waits matter more.
    let (waits, idle): (Vec<&Service>, Vec<_>) = services.iter().partition(|one| one.queued > 0);
    let waiting = waits.iter().map(|one| one.queued).sum();
    let one = |one: &Service| {
        let mut text = format!(":{}", one.port);
        if !one.comms.is_empty() {
            text.push(' ');
            text.push_str(&names(&one.comms, page));
        }
        if one.queued > 0 && services.len() > 1 {
            text.push_str(&format!(" ({} wait)", one.queued));
        }
        text
    };
    let named = waits.into_iter().chain(idle).take(NAMED_SERVICES);
    let mut texts: Vec<String> = named.map(one).collect();
    if services.len() > NAMED_SERVICES {
        texts.push(format!("{} more", services.len() - NAMED_SERVICES));
    }
    let last = texts.len().saturating_sub(1);
    for (index, text) in texts.iter_mut().enumerate() {
        text.push(if index == last { ';' } else { ',' });
    }
    texts.push(match waiting {
        0 => "nothing waits to be accepted".to_owned(),
        1 => "1 connection waits to be accepted".to_owned(),
        count => format!("{count} connections wait to be accepted"),
    });
    texts
}

/// The next command, with the process if it is one.
fn next(report: &Report) -> String {
    let mut pids = (report.groups.iter())
        .filter(|group| group.counts.of(TcpState::CloseWait) > 0)
        .map(|group| group.key.pid);
    let first = pids.next().flatten();
    match first.filter(|_| pids.all(|pid| pid == first)) {
        Some(pid) => format!("tcptrace --explain --pid {pid}"),
        None => "tcptrace --explain".to_owned(),
    }
}
