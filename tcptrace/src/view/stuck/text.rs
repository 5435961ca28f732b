//! Tables for people.

use std::{
    collections::HashSet,
    fmt::Write as _,
    io::{self, IsTerminal, Write as _},
    time::{Duration, UNIX_EPOCH},
};

use anstyle::{AnsiColor, Style};

use crate::{
    model::{
        socket::{Endpoint, Role, Socket},
        stuck::{
            group::Group,
            session::Session,
            snapshot::{Snapshot, Watched},
        },
    },
    view::{
        parts::{
            age::age,
            clean::clean,
            container,
            table::{self, Column, left, right},
        },
        stuck::View,
        stuck::held_by::held_by,
    },
};

const HEADING: Style = Style::new().bold();
const WARNING: Style = AnsiColor::Yellow.on_default();
/// To the upper left, and clear what is below.
const REDRAW: &str = "\x1b[H\x1b[2J";
/// Sockets shown where there is no screen to fit.
const ROWS_WITHOUT_SCREEN: usize = 50;
/// Sockets shown even on the smallest screen.
const LEAST_ROWS: usize = 5;

/// How many sockets are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// All.
    None,
    /// So many.
    Rows(usize),
    /// What fits.
    Screen,
}

/// What is redrawn in place must fit into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Characters in a line.
    pub width: usize,
    /// Lines.
    pub height: usize,
}

/// Writes tables to standard output; on a terminal a live session is redrawn in place.
pub struct Text {
    limit: Limit,
    live: bool,
    first: bool,
}

impl Text {
    /// A view of a live session, or of one look.
    #[must_use]
    pub fn new(limit: Limit, live: bool) -> Self {
        Self {
            limit,
            live,
            first: true,
        }
    }
}

impl View for Text {
    fn snapshot(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let terminal = io::stdout().is_terminal();
        let screen = terminal_size::terminal_size().filter(|_| terminal && self.live);
        let screen = screen.map(|(width, height)| Screen {
            width: width.0.into(),
            height: height.0.into(),
        });
        let mut text = String::new();
        if self.live && terminal {
            text.push_str(REDRAW);
        } else if !self.first {
            text.push('\n');
        }
        self.first = false;
        text.push_str(&render(snapshot, self.limit, screen));
        // Drops colours where they are not wanted: no terminal, NO_COLOR, TERM=dumb.
        let mut out = anstream::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    fn summary(
        &mut self,
        session: &Session,
        watched: &Watched,
        length: Duration,
    ) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        writeln!(out, "\n{}", summary(session, watched, length))?;
        out.flush()
    }
}

/// The snapshot as text, with colours.
pub fn render(snapshot: &Snapshot, limit: Limit, screen: Option<Screen>) -> String {
    let mut text = String::new();
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    line(&headline(snapshot));
    for warning in warnings(snapshot) {
        line(&format!("{WARNING}warning: {}{WARNING:#}", clean(&warning)));
    }
    if snapshot.sockets.is_empty() {
        return text;
    }
    let groups = group_lines(snapshot);
    let used = 4 + groups.len() + warnings(snapshot).len();
    let rows = match (limit, screen) {
        (Limit::None, _) => usize::MAX,
        (Limit::Rows(rows), _) => rows,
        (Limit::Screen, None) => ROWS_WITHOUT_SCREEN,
        (Limit::Screen, Some(screen)) => screen.height.saturating_sub(used + 2).max(LEAST_ROWS),
    };
    line("");
    let group_rows = match screen {
        Some(screen) if limit == Limit::Screen => (screen.height / 2).max(LEAST_ROWS) + 1,
        _ => usize::MAX,
    };
    let width = screen.map_or(usize::MAX, |screen| screen.width);
    let cut = |lines: Vec<String>| -> Vec<String> {
        let cut = |line: String| line.chars().take(width).collect();
        lines.into_iter().map(cut).collect()
    };
    table_text(&cut(groups), group_rows, "groups", &mut line);
    line("");
    let sockets = cut(socket_lines(snapshot, rows));
    table_text(&sockets, usize::MAX, "", &mut line);
    let hidden = snapshot.sockets.len().saturating_sub(rows);
    if hidden > 0 {
        line(&format!("… and {hidden} younger ones (--all shows them)"));
    }
    text
}

fn table_text(lines: &[String], rows: usize, what: &str, line: &mut impl FnMut(&str)) {
    for (index, row) in lines.iter().enumerate().take(rows) {
        if index == 0 {
            line(&format!("{HEADING}{row}{HEADING:#}"));
        } else {
            line(row);
        }
    }
    if lines.len() > rows {
        line(&format!("… and {} more {what}", lines.len() - rows));
    }
}

fn headline(snapshot: &Snapshot) -> String {
    let watched = &snapshot.watched;
    let mut text = match snapshot.sockets.len() {
        0 => "No socket".to_owned(),
        1 => "1 socket".to_owned(),
        count => format!("{count} sockets"),
    };
    let _ = write!(text, " stuck in {}", watched.state.name());
    if watched.older_than_ns > 0 {
        let _ = write!(text, " for {} or longer", age(watched.older_than_ns, true));
    }
    if snapshot.younger > 0 {
        let _ = write!(text, "; {} younger", snapshot.younger);
    }
    let Some(time) = snapshot.time else {
        return format!("{HEADING}{text}{HEADING:#}");
    };
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let whole = UNIX_EPOCH + Duration::from_secs(seconds.as_secs());
    format!(
        "{HEADING}{text}{HEADING:#}   {}",
        humantime::format_rfc3339_seconds(whole)
    )
}

fn warnings(snapshot: &Snapshot) -> Vec<String> {
    let mut warnings = snapshot.notes.clone();
    let tracing = &snapshot.tracing;
    if tracing.hook.is_none() {
        return warnings; // a recording, whose notes say what it misses
    }
    if tracing.lost > 0 {
        warnings.push(format!(
            "{} sockets did not fit into the kernel's map; they are found by listing, their ages \
             are lower bounds (--max-sockets makes room)",
            tracing.lost
        ));
    }
    if let Some(misses @ 1..) = tracing.recursion_misses {
        warnings.push(format!(
            "the kernel skipped {misses} runs of the program; sockets missed by that are found by \
             listing, their ages are lower bounds"
        ));
    }
    warnings
}

const GROUP_COLUMNS: [Column; 9] = [
    right("SOCKETS"),
    right("OLDEST"),
    right("MEDIAN"),
    right("RECV-Q"),
    left("PROCESS"),
    left("STATE"),
    left("REMOTE"),
    left("ACCEPTED"),
    left("IN"),
];

fn group_lines(snapshot: &Snapshot) -> Vec<String> {
    let rows: Vec<_> = snapshot
        .groups
        .iter()
        .map(|group| group_row(group, snapshot))
        .collect();
    table::lines(&GROUP_COLUMNS, &rows)
}

fn group_row(group: &Group, snapshot: &Snapshot) -> Vec<String> {
    let owner = group.owner.as_ref();
    let process = owner.and_then(|owner| snapshot.processes.get(&owner.pid));
    let remote = match group.port {
        Some(port) => endpoint(Endpoint {
            address: group.remote,
            port,
        }),
        None => group.remote.to_string(),
    };
    let oldest_ns = snapshot
        .monotonic_ns
        .saturating_sub(group.oldest.moment_ns());
    vec![
        group.sockets.to_string(),
        age(oldest_ns, group.oldest.is_exact()),
        age(group.median_ns, group.median_exact),
        group
            .recv_queue
            .map_or_else(|| "?".into(), |bytes| bytes.to_string()),
        owner.map_or_else(
            || if group.owner_known { "no process" } else { "?" }.into(),
            |owner| format!("{}[{}]", clean(&owner.comm), owner.pid),
        ),
        process.map_or_else(|| "?".into(), |process| process_state(process.state)),
        remote,
        match group.unaccepted {
            0 => String::new(),
            all if all == group.sockets => "never".into(),
            some => format!("{some} never"),
        },
        (group.cgroup.as_deref().and_then(container::name)).map_or_else(String::new, |n| clean(&n)),
    ]
}

/// The words of `proc_pid_stat(5)`.
fn process_state(letter: char) -> String {
    match letter {
        'R' => "running",
        'S' | 'I' => "sleeping",
        'D' => "disk sleep",
        'T' => "stopped",
        't' => "traced",
        'Z' => "zombie",
        'X' | 'x' => "dead",
        other => return other.escape_default().to_string(),
    }
    .into()
}

const SOCKET_COLUMNS: [Column; 9] = [
    right("AGE"),
    right("RECV-Q"),
    right("SEND-Q"),
    left("LOCAL"),
    left("REMOTE"),
    left("ROLE"),
    left("HELD BY"),
    left("KEEPALIVE"),
    left("NETNS"),
];

fn socket_lines(snapshot: &Snapshot, rows: usize) -> Vec<String> {
    let namespaces: HashSet<_> = snapshot.sockets.iter().map(|socket| socket.netns).collect();
    let rows: Vec<_> = snapshot
        .sockets
        .iter()
        .take(rows)
        .map(|socket| socket_row(socket, snapshot, namespaces.len() > 1))
        .collect();
    table::lines(&SOCKET_COLUMNS, &rows)
}

fn socket_row(socket: &Socket, snapshot: &Snapshot, with_netns: bool) -> Vec<String> {
    let details = socket.details.as_ref();
    let queue = |bytes: Option<u32>| bytes.map_or_else(|| "?".into(), |bytes| bytes.to_string());
    let name = |netns: u32| match snapshot.netns_names.get(&netns) {
        Some(name) => clean(name),
        None => netns.to_string(),
    };
    let netns = match socket.netns {
        Some(netns) if with_netns || snapshot.netns_names.contains_key(&netns) => name(netns),
        None if with_netns => "?".into(),
        _ => String::new(),
    };
    vec![
        age(
            socket.age_ns(snapshot.monotonic_ns),
            socket.since.is_exact(),
        ),
        queue(details.map(|details| details.recv_queue)),
        queue(details.map(|details| details.send_queue)),
        endpoint(socket.local),
        endpoint(socket.remote),
        match socket.role {
            Role::Unknown => "?",
            known => known.name(),
        }
        .into(),
        held_by(socket),
        match details.and_then(|details| details.keepalive()) {
            Some(true) => "on",
            Some(false) => "off",
            None => "?",
        }
        .into(),
        netns,
    ]
}

fn endpoint(end: Endpoint) -> String {
    match end.address {
        std::net::IpAddr::V4(v4) => format!("{v4}:{}", end.port),
        std::net::IpAddr::V6(v6) => format!("[{v6}]:{}", end.port),
    }
}

/// What is said of the session at its end.
#[must_use]
pub fn summary(session: &Session, watched: &Watched, length: Duration) -> String {
    let ns = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    let state = watched.state.name();
    let longest = session.longest.map_or_else(
        || "none".into(),
        |(longest_ns, exact)| age(longest_ns, exact),
    );
    let looks = match session.looks {
        1 => "1 look".to_owned(),
        looks => format!("{looks} looks"),
    };
    let mut text = format!("Session of {}, {looks}", age(ns, true));
    let mut line = |label: &str, value: &str| {
        let _ = write!(text, "\n  {label:<24}{value}");
    };
    line("most stuck at once", &session.most_at_once.to_string());
    line(&format!("longest in {state}"), &longest);
    let entered = format!("{} ({} were in it before)", session.entered, session.found);
    line(&format!("entered {state}"), &entered);
    line(&format!("left {state}"), &session.left.to_string());
    line("still stuck", &session.still_stuck.to_string());
    if session.lost > 0 {
        line("not kept (map full)", &session.lost.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use tcptrace_common::TcpState;

    use super::*;
    use crate::{
        diagnosis::stuck::tracker::Tracker,
        fixtures::{self, snapshot},
    };

    const SMALL: Screen = Screen {
        width: 60,
        height: 24,
    };

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn groups_come_first_then_the_oldest_sockets() {
        let text = render(&snapshot(fixtures::busy_look()), Limit::None, None);
        insta::assert_snapshot!(plain(&text));
    }

    #[test]
    fn an_idle_machine_is_one_line() {
        let mut look = fixtures::look();
        look.younger = 3;
        insta::assert_snapshot!(plain(&render(&snapshot(look), Limit::Screen, None)));
    }

    #[test]
    fn what_was_lost_is_said() {
        let mut look = fixtures::busy_look();
        look.tracing.lost = 12;
        look.tracing.recursion_misses = Some(2);
        look.notes = vec!["holders are not known: \x1b[31mred".into()];
        look.held = None;
        let text = render(&snapshot(look), Limit::Rows(2), None);
        insta::assert_snapshot!(plain(&text));
    }

    #[test]
    fn a_small_screen_shows_a_few_rows_and_says_so() {
        let mut look = fixtures::look();
        look.listed = (1..200)
            .map(|cookie| {
                let port = 1000 + u16::try_from(cookie).expect("small");
                let local = fixtures::end("10.0.0.1", port);
                fixtures::listed(cookie, local, fixtures::end("10.0.0.2", 80), 60)
            })
            .collect();
        let text = render(&snapshot(look), Limit::Screen, Some(SMALL));
        assert!(text.lines().count() <= 24, "{text}");
        assert!(text.contains("younger ones (--all shows them)"), "{text}");
        let rows = plain(&text);
        assert!(
            rows.lines().skip(1).all(|row| row.chars().count() <= 60),
            "{rows}"
        );
    }

    #[test]
    fn hostile_names_do_not_reach_the_terminal() {
        let mut look = fixtures::busy_look();
        for held in look.held.iter_mut().flatten() {
            held.holder.comm = "\x1b]0;owned\x07\u{9b}2J\n".into();
        }
        let text = plain(&render(&snapshot(look), Limit::None, None));
        let hostile = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(hostile), "{text:?}");
        assert_eq!(text.lines().count(), 1 + 1 + 4 + 1 + 5, "{text}");
    }

    #[test]
    fn the_summary_tells_the_session() {
        let snapshot = snapshot(fixtures::busy_look());
        let mut session = Session::default();
        session.add(&snapshot, &Tracker::new(TcpState::CloseWait));
        let text = summary(&session, &snapshot.watched, Duration::from_secs(72));
        insta::assert_snapshot!(text);
    }
}
