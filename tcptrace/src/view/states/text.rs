//! Numbers by state on one screen, the worst first.

use std::{
    fmt::Write as _,
    time::{Duration, UNIX_EPOCH},
};

use tcptrace_common::TcpState;

use crate::{
    model::{
        socket::{Endpoint, Role},
        states::{
            counts::Counts,
            member::NoSocket,
            report::{By, Group, Key, Report},
        },
    },
    view::{
        Page, View,
        layout::table::{self, Column, before_pid, before_port, left, right},
        parts::{
            address::endpoint,
            candidates, caveat,
            clean::clean,
            style::{HEADING, WARNING},
        },
    },
};

/// Groups shown without a screen that they have to fit on.
const ROWS_WITHOUT_SCREEN: usize = 50;
/// Groups shown even on the smallest screen.
const LEAST_ROWS: usize = 5;
/// Listening ports that are named.
const NAMED_SERVICES: usize = 8;

/// States whose sockets are counted in a row; listeners have a line of their own.
const COLUMNS: [TcpState; 8] = [
    TcpState::SynSent,
    TcpState::SynRecv,
    TcpState::Established,
    TcpState::FinWait1,
    TcpState::FinWait2,
    TcpState::CloseWait,
    TcpState::Closing,
    TcpState::LastAck,
];

/// What a large number of each means, the worst first.
const MEANINGS: [(TcpState, &str); 8] = [
    (
        TcpState::CloseWait,
        "the peer has closed and the process has not: only the process can end these (tcptrace stuck)",
    ),
    (
        TcpState::FinWait2,
        "the process has closed and the peer has not: the leak is at the other end",
    ),
    (
        TcpState::LastAck,
        "closed at both ends; the peer does not acknowledge: it is gone, or packets are lost",
    ),
    (
        TcpState::SynSent,
        "nobody answers these connects: a dead or blocked destination",
    ),
    (
        TcpState::FinWait1,
        "closed; the peer does not acknowledge, or does not read what was sent",
    ),
    (
        TcpState::Closing,
        "closed at both ends at the same time; normal if few",
    ),
    (TcpState::SynRecv, "connections that are just being made"),
    (
        TcpState::Established,
        "connections in use, or idle in a pool",
    ),
];

/// A table and what it means.
pub struct Text {
    top: Option<usize>,
    filters: String,
}

impl Text {
    /// With at most this many groups, of what passes these filters.
    #[must_use]
    pub fn new(top: Option<usize>, filters: &str) -> Self {
        Self {
            top,
            filters: clean(filters),
        }
    }
}

impl View<Report> for Text {
    fn show(&mut self, report: &Report, page: &Page, out: &mut Vec<u8>) {
        out.extend_from_slice(render(report, self.top, &self.filters, page).as_bytes());
    }
}

/// The numbers as text, with colours.
fn render(report: &Report, top: Option<usize>, filters: &str, page: &Page) -> String {
    let mut text = String::new();
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    line(&headline(report));
    if !filters.is_empty() {
        line(&format!("Only what passes {filters} is counted."));
    }
    for warning in caveat::texts(&report.caveats) {
        line(&format!("{WARNING}warning: {}{WARNING:#}", clean(&warning)));
    }
    let below = below(report);
    let used = 8 + below.len() + report.caveats.len();
    let rows = top.unwrap_or(match page.height {
        None => ROWS_WITHOUT_SCREEN,
        Some(height) => height.saturating_sub(used).max(LEAST_ROWS),
    });
    // Listeners have a line of their own.
    let shown = |group: &&Group| {
        let counts = &group.counts;
        let listens = counts.of(TcpState::Listen) + counts.of(TcpState::Close) - counts.residue;
        let others = counts.remainders() + counts.no_socket(NoSocket::HalfOpen);
        counts.sockets() > listens || !report.by.is_empty() && others > 0
    };
    let groups: Vec<&Group> = report.groups.iter().filter(shown).collect();
    if !groups.is_empty() {
        line("");
        for (index, row) in table(report, &groups, rows, *page).iter().enumerate() {
            if index == 0 {
                line(&format!("{HEADING}{row}{HEADING:#}"));
            } else {
                line(row);
            }
        }
        if groups.len() > rows {
            line(&format!(
                "… and {} more groups (--top shows more)",
                groups.len() - rows
            ));
        }
    }
    if !below.is_empty() {
        line("");
    }
    for one in &below {
        line(one);
    }
    text
}

fn headline(report: &Report) -> String {
    let all = &report.all;
    let number = |count: u64, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    let mut text = number(all.sockets(), "socket", "sockets");
    if report.processes > 0 {
        let processes = number(report.processes as u64, "process", "processes");
        let _ = write!(text, " of {processes}");
    }
    let _ = write!(text, ", {} in CLOSE_WAIT", all.of(TcpState::CloseWait));
    if all.residue > 0 {
        let _ = write!(text, ", {} residue", all.residue);
    }
    if all.remainders() > 0 {
        let _ = write!(
            text,
            ", {}",
            number(all.remainders(), "remainder", "remainders")
        );
    }
    let seconds = report.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let whole = UNIX_EPOCH + Duration::from_secs(seconds.as_secs());
    format!(
        "{HEADING}{text}{HEADING:#}   {}",
        humantime::format_rfc3339_seconds(whole)
    )
}

fn table(report: &Report, groups: &[&Group], rows: usize, page: Page) -> Vec<String> {
    let counts = |count: u64| match count {
        0 => ".".to_owned(),
        count => count.to_string(),
    };
    let states: Vec<TcpState> = (COLUMNS.into_iter())
        .filter(|state| report.all.of(*state) > 0)
        .collect();
    let with_residue = report.all.residue > 0;
    let kinds: Vec<NoSocket> = (NoSocket::ALL.iter().copied())
        .filter(|kind| !report.by.is_empty() && report.all.no_socket(*kind) > 0)
        .collect();
    let mut columns: Vec<Column> = (states.iter())
        .map(|state| right(state.name()).extra(leaves(*state)))
        .collect();
    if with_residue {
        columns.push(right("RESIDUE").extra(3));
    }
    columns.extend(kinds.iter().map(|kind| match kind {
        NoSocket::TimeWait => right("TIME_WAIT").extra(10),
        NoSocket::FinWait2Remainder => right("FIN_WAIT2 REMAINDER").extra(11),
        NoSocket::HalfOpen => right("HALF-OPEN").extra(12),
    }));
    columns.extend(key_columns(&report.by));
    let numbers = |counts_of: &Counts| {
        let mut row: Vec<String> = states
            .iter()
            .map(|state| counts(counts_of.of(*state)))
            .collect();
        if with_residue {
            row.push(counts(counts_of.residue));
        }
        row.extend(kinds.iter().map(|kind| counts(counts_of.no_socket(*kind))));
        row
    };
    let mut lines: Vec<Vec<String>> = (groups.iter().take(rows))
        .map(|group| [numbers(&group.counts), key_cells(&group.key, &report.by)].concat())
        .collect();
    let padded = |mut row: Vec<String>, name: &str| {
        row.push(name.into());
        row.resize(columns.len(), String::new());
        row
    };
    lines.push(padded(numbers(&report.all), "all"));
    if let Some(before) = &report.before {
        let changed = |now: u64, before: u64| match now.cast_signed() - before.cast_signed() {
            0 => ".".to_owned(),
            change => format!("{change:+}"),
        };
        let mut row: Vec<String> = (states.iter())
            .map(|state| changed(report.all.of(*state), before.of(*state)))
            .collect();
        if with_residue {
            row.push(changed(report.all.residue, before.residue));
        }
        row.extend(
            (kinds.iter())
                .map(|kind| changed(report.all.no_socket(*kind), before.no_socket(*kind))),
        );
        lines.push(padded(row, "change since the last look"));
    }
    table::lines(&columns, &lines, page)
}

/// On a narrow terminal the states with the highest number leave first.
fn leaves(state: TcpState) -> u8 {
    match state {
        TcpState::CloseWait => 1,
        TcpState::FinWait2 => 2,
        TcpState::Established => 4,
        TcpState::LastAck => 5,
        TcpState::FinWait1 => 6,
        TcpState::SynSent => 7,
        TcpState::Closing => 8,
        _ => 9,
    }
}

fn key_columns(by: &[By]) -> Vec<Column<'static>> {
    if by.is_empty() {
        return vec![
            left("PROCESS").name(before_pid),
            left("CONNECTION").rank(1).name(before_port),
        ];
    }
    let heading = |part: &By| match part {
        By::Comm => "NAME",
        By::Pid => "PROCESS",
        By::Remote => "REMOTE",
        By::Port => "PORT",
        By::Cgroup => "CGROUP",
        By::Container => "CONTAINER",
        By::Netns => "NETNS",
    };
    by.iter().map(|part| left(heading(part))).collect()
}

fn key_cells(key: &Key, by: &[By]) -> Vec<String> {
    let one_of = || candidates::one_of_key(&key.candidates);
    let process = || match (&key.comm, key.pid) {
        (Some(comm), Some(pid)) => format!("{}[{pid}]", clean(comm)),
        _ if !key.candidates.is_empty() => one_of(),
        _ if key.unknown => "?".into(),
        _ => "-".into(),
    };
    if by.is_empty() {
        return vec![process(), connection(key)];
    }
    let text = |text: Option<&str>| text.map_or_else(|| "-".into(), clean);
    let cell = |part: &By| match part {
        By::Comm if key.comm.is_none() => process(),
        By::Comm => text(key.comm.as_deref()),
        By::Pid => process(),
        By::Remote => key
            .remote
            .map_or_else(|| "-".into(), |remote| remote.to_string()),
        By::Port => key.port.map_or_else(|| "-".into(), |port| port.to_string()),
        By::Cgroup => text(key.cgroup.as_deref()),
        By::Container => text(key.container.as_deref()),
        By::Netns => key
            .netns
            .map_or_else(|| "-".into(), |netns| netns.to_string()),
    };
    by.iter().map(cell).collect()
}

/// `to REMOTE:PORT` of a client, `on :PORT` of a server.
fn connection(key: &Key) -> String {
    match (key.role(), key.port, key.remote) {
        (Role::Server, Some(port), _) => format!("on :{port}"),
        (Role::Client, Some(port), Some(address)) => {
            format!("to {}", endpoint(Endpoint { address, port }))
        }
        _ => "-".into(),
    }
}

/// The lines below the table.
fn below(report: &Report) -> Vec<String> {
    let all = &report.all;
    let mut lines = Vec::new();
    let kept = [
        (NoSocket::TimeWait, "TIME_WAIT"),
        (NoSocket::FinWait2Remainder, "FIN_WAIT2"),
    ];
    let kept: Vec<String> = (kept.iter())
        .filter(|(kind, _)| all.no_socket(*kind) > 0)
        .map(|(kind, name)| format!("{} {name}", all.no_socket(*kind)))
        .collect();
    let half_open = all.no_socket(NoSocket::HalfOpen);
    for (state, meaning) in MEANINGS {
        if all.of(state) > 0 {
            lines.push(format!("{:<12} {meaning}", state.name()));
        }
        if state == TcpState::CloseWait && all.residue > 0 {
            let meaning = "dead in the network, still open in a process: a descriptor each";
            lines.push(format!("{:<12} {meaning}", "residue"));
        }
    }
    if !kept.is_empty() {
        lines.push(format!(
            "{:<12} {}: of no process, they end by themselves",
            "remainders",
            kept.join(", ")
        ));
    }
    if half_open > 0 {
        lines.push(format!(
            "{:<12} {half_open} handshakes not complete: many mean lost packets or a SYN flood",
            "half-open"
        ));
    }
    let services = &report.services;
    if !services.is_empty() {
        let mut named: Vec<String> = (services.iter().take(NAMED_SERVICES))
            .map(|one| match &one.comms[..] {
                [] => format!(":{}", one.port),
                comms => {
                    let names = comms.iter().map(|comm| (None, &**comm));
                    format!(":{} {}", one.port, candidates::one_of(names))
                }
            })
            .collect();
        if services.len() > NAMED_SERVICES {
            named.push(format!("{} more", services.len() - NAMED_SERVICES));
        }
        let waiting: u64 = services.iter().map(|one| one.queued).sum();
        let waits = match waiting {
            0 => "nothing waits to be accepted".to_owned(),
            1 => "1 connection waits to be accepted".to_owned(),
            count => format!("{count} connections wait to be accepted"),
        };
        lines.push(format!("{:<12} {}; {waits}", "LISTEN", named.join(", ")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::states::counts::STATES, view::states::fixture};

    fn plain(report: &Report, top: Option<usize>, page: &Page) -> String {
        anstream::adapter::strip_str(&render(report, top, "", page)).to_string()
    }

    #[test]
    fn the_worst_come_first_and_each_number_is_explained() {
        insta::assert_snapshot!(plain(&fixture(), None, &Page::UNLIMITED));
    }

    #[test]
    fn by_other_parts_what_is_no_socket_has_columns() {
        let mut report = fixture();
        report.by = vec![By::Comm, By::Netns];
        report.before = None;
        insta::assert_snapshot!(plain(&report, Some(2), &Page::UNLIMITED));
    }

    #[test]
    fn hostile_names_do_not_reach_the_terminal() {
        let text = plain(&fixture(), None, &Page::UNLIMITED);
        assert!(
            !text.contains(|c: char| c.is_control() && c != '\n'),
            "{text:?}"
        );
    }

    #[test]
    fn every_state_is_shown_somewhere() {
        for state in STATES {
            let elsewhere = matches!(
                state,
                TcpState::Listen | TcpState::TimeWait | TcpState::Close
            );
            assert!(COLUMNS.contains(&state) || elsewhere, "{state:?}");
        }
        for state in COLUMNS {
            assert!(
                MEANINGS.iter().any(|(known, _)| *known == state),
                "{state:?}"
            );
        }
    }
}
