//! What stands above all tables: how many are stuck, whether that is a leak, and what was looked at.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use crate::{
    model::{cause::Leak, stuck::snapshot::Snapshot},
    view::{
        Page,
        layout::wrap::{cut, wrap},
        parts::{
            age::{age, age_between},
            caveat,
            clean::clean,
            clock::{at_the_end, headed},
            style::{GOOD, HEADING, WARNING},
        },
        stuck::{
            names::{connection_in_words, process_in_words},
            notes::beside_text,
            residue::sockets,
            rows::Row,
        },
    },
};

/// From here on sockets that are too young to be stuck are no passing traffic.
const NOT_YET_NS: u64 = SECOND;
const SECOND: u64 = 1_000_000_000;
/// The threshold where none is given.
const USUAL_NS: u64 = 30 * SECOND;
/// From this width on the session's figures are on the screen.
const WIDE: usize = 100;

/// The first lines, with colours, about these rows of the table of groups.
pub fn top(snapshot: &Snapshot, rows: &[Row<'_>], page: Page) -> Vec<String> {
    let text = headline(snapshot);
    let style = match is_clear(snapshot) {
        true => GOOD.bold(),
        false => HEADING,
    };
    let mut lines = headed(&text, style, snapshot.time, page);
    lines.extend(verdict(snapshot, rows, page));
    // Where there are tables, notes stand below them.
    let notes = rows.is_empty().then(|| beside_text(snapshot));
    let beside = scope(snapshot)
        .into_iter()
        .chain(notes.into_iter().flatten());
    lines.extend(beside.flat_map(|text| wrap("", &clean(&text), page)));
    lines
}

/// Caveats, the last lines of a screen, with colours: each in one line on a terminal unless `whole`, and no more than
/// `most` lines.
pub fn caveats(snapshot: &Snapshot, whole: bool, most: usize, page: Page) -> Vec<String> {
    let texts = texts(snapshot);
    let more = texts.len().saturating_sub(most);
    // The last line says how many more there are.
    let shown = if more > 0 {
        most.saturating_sub(1)
    } else {
        most
    };
    let mut lines: Vec<_> = texts
        .iter()
        .take(shown)
        .flat_map(|text| {
            let lines = wrap("! ", &clean(text), page);
            match whole {
                true => lines,
                false => cut(lines, 1, page),
            }
        })
        .collect();
    if more > 0 && most > 0 {
        let text = format!("{} more caveats: --explain shows them", texts.len() - shown);
        lines.extend(wrap("! ", &text, page).into_iter().take(1));
    }
    let paint = |line| format!("{WARNING}{line}{WARNING:#}");
    lines.into_iter().map(paint).collect()
}

/// Whether nothing is stuck, and nothing may be.
fn is_clear(snapshot: &Snapshot) -> bool {
    snapshot.listed() == 0
        && !looked_at_nothing(snapshot)
        && snapshot.residue.as_ref().is_some_and(Vec::is_empty)
        && !is_not_yet(snapshot)
        && snapshot.left_out == 0
}

/// Whether something is in the state, too young to be stuck, and no passing traffic.
fn is_not_yet(snapshot: &Snapshot) -> bool {
    let younger = snapshot.younger;
    snapshot.listed() == 0 && younger.count > 0 && younger.oldest_at_most_ns >= NOT_YET_NS
}

/// The first line.
fn headline(snapshot: &Snapshot) -> String {
    let watched = &snapshot.watched;
    if looked_at_nothing(snapshot) {
        return "Nothing was looked at".into();
    }
    let state = watched.state.name();
    let (stuck, may_be) = (snapshot.stuck(), snapshot.may_be());
    let residue = snapshot.residue.as_ref().map(Vec::len);
    let mut text = match (stuck, may_be) {
        (0, 0) if is_not_yet(snapshot) => format!("No socket is stuck in {state}"),
        (0, 0) if residue.is_some_and(|count| count > 0) => format!("0 sockets stuck in {state}"),
        (0, 0) => format!("Nothing stuck in {state}"),
        (0, may_be) => format!("{} may be stuck in {state}", sockets(may_be)),
        (stuck, _) => format!("{} stuck in {state}", sockets(stuck)),
    };
    if watched.older_than_ns > 0 {
        let _ = write!(text, " for {} or longer", age(watched.older_than_ns, true));
    }
    if stuck + may_be == 0 {
        if is_not_yet(snapshot) {
            text.push_str(" yet");
        } else if snapshot.left_out > 0 {
            text.push_str(" passes the filter");
        }
    }
    if stuck > 0 && may_be > 0 {
        let _ = write!(text, "; {may_be} more may be");
    }
    if stuck + may_be > 0 && snapshot.younger.count > 0 {
        let _ = write!(text, "; {} younger", snapshot.younger.count);
    }
    match residue {
        Some(0) if is_clear(snapshot) => text.push_str(", no residue"),
        Some(count @ 1..) => {
            let _ = write!(text, ", {count} residue");
        }
        _ => {}
    }
    text
}

/// Whether the look saw no network namespace.
fn looked_at_nothing(snapshot: &Snapshot) -> bool {
    snapshot.looked.is_some_and(|looked| looked.namespaces == 0)
}

/// Whether it is a leak, in how many rows, and where to read more; with colours. Nothing without any row that
/// was judged.
fn verdict(snapshot: &Snapshot, rows: &[Row<'_>], page: Page) -> Vec<String> {
    let mut counts = [0; 3];
    let mut follow = 0;
    for row in rows {
        match row.leak() {
            _ if row.follows() => follow += 1,
            Some(Leak::Yes) => counts[0] += 1,
            Some(Leak::Unknown) => counts[1] += 1,
            Some(Leak::No) => counts[2] += 1,
            None => {}
        }
    }
    let mut parts = Vec::new();
    for (count, word) in counts.into_iter().zip(["yes", "unknown", "no"]) {
        match (count, parts.is_empty()) {
            (0, _) => {}
            (count, false) => parts.push(format!("{word} in {count}")),
            (1, true) => parts.push(format!("{word} in 1 group")),
            (count, true) => parts.push(format!("{word} in {count} groups")),
        }
    }
    if parts.is_empty() && follow == 0 {
        return Vec::new();
    }
    let mut text = match parts.is_empty() {
        true => "Leak:".to_owned(),
        false => format!("Leak: {}", parts.join(", ")),
    };
    match (follow, parts.is_empty()) {
        (0, _) => {}
        (count, true) => {
            let _ = write!(text, " {count} follow from others");
        }
        (1, false) => text.push_str("; 1 more follows from these"),
        (count, false) => {
            let _ = write!(text, "; {count} more follow from these");
        }
    }
    text.push('.');
    if page.width.is_none_or(|width| width >= WIDE) {
        text.push_str(&watching(snapshot));
    }
    let mut lines = wrap("", &text, page);
    let length = lines.last().map_or(0, |line| line.width());
    let command = explain_command(snapshot);
    let details = [
        format!("Details: {command}"),
        command,
        "--explain".to_owned(),
    ];
    let end = details.map(|text| at_the_end(length, &text, page));
    if let (Some(last), Some(end)) = (
        lines.last_mut(),
        end.into_iter().find(|text| !text.is_empty()),
    ) {
        last.push_str(&end);
    }
    lines
}

/// For how long it has been watched, and what came and went meanwhile; nothing at the first look.
fn watching(snapshot: &Snapshot) -> String {
    let ns = snapshot
        .began_ns
        .map_or(0, |began_ns| snapshot.monotonic_ns.saturating_sub(began_ns));
    if ns == 0 {
        return String::new();
    }
    let (entered, left, at_least) = snapshot.came_and_went();
    let bound = if at_least { "≥" } else { "" };
    format!(
        " Watching for {}: {bound}{entered} entered, {bound}{left} left.",
        age(ns, true)
    )
}

/// The command that explains what is shown; of a recording only the option.
fn explain_command(snapshot: &Snapshot) -> String {
    if snapshot.looked.is_none() {
        return "--explain".into();
    }
    let watched = &snapshot.watched;
    let mut command = "tcptrace --explain".to_owned();
    let threshold_ns = watched.older_than_ns;
    if threshold_ns != USUAL_NS {
        let threshold = match threshold_ns {
            ns if ns.is_multiple_of(SECOND) => format!("{}s", ns / SECOND),
            ns => format!("{ns}ns"),
        };
        let _ = write!(command, " --older-than {threshold}");
    }
    if !watched.filters.is_empty() {
        let _ = write!(command, " {}", clean(&watched.filters.to_string()));
    }
    command
}

/// What an all-clear is about, and what the filter leaves out: not yet fit for a terminal.
fn scope(snapshot: &Snapshot) -> Vec<String> {
    let mut lines = Vec::new();
    if snapshot.listed() == 0 {
        lines.extend(younger(snapshot));
        lines.extend(looked_at(snapshot));
    }
    if snapshot.left_out > 0 {
        let (are, pass) = match snapshot.left_out {
            1 => ("is", "does not pass"),
            _ => ("are", "do not pass"),
        };
        lines.push(format!(
            "{} that {are} stuck or may be {pass} {}.",
            sockets(snapshot.left_out),
            snapshot.watched.filters
        ));
    }
    lines
}

/// What is in the state and not stuck, where nothing else is.
fn younger(snapshot: &Snapshot) -> Vec<String> {
    let younger = snapshot.younger;
    let oldest = age(younger.oldest_at_most_ns, true);
    let mut lines = match younger.count {
        0 => return Vec::new(),
        1 => vec![format!("1 is in it, for {oldest} at most.")],
        count => vec![format!(
            "{count} are in it, all younger: the oldest for {oldest} at most."
        )],
    };
    if !is_not_yet(snapshot) {
        return lines;
    }
    if let Some(group) = &snapshot.youngest {
        let oldest_ns = (snapshot.monotonic_ns).saturating_sub(group.oldest.moment_ns());
        let oldest = age_between(oldest_ns, group.oldest_at_most_ns);
        lines.push(format!(
            "The largest group: {} of {} {}, the oldest for {oldest}.",
            group.sockets,
            process_in_words(group),
            connection_in_words(group.role, group.ends)
        ));
    }
    let command = match snapshot.looked {
        Some(_) => "tcptrace --older-than 0s",
        None => "--older-than 0s",
    };
    lines.push(format!("Show them: {command}"));
    lines
}

/// What the look went through, and which filter was set.
fn looked_at(snapshot: &Snapshot) -> Option<String> {
    let filters = &snapshot.watched.filters;
    let Some(looked) = snapshot.looked else {
        return (!filters.is_empty()).then(|| format!("Only what passes {filters} counts."));
    };
    let mut text = match looked.sockets {
        _ if looked.namespaces == 0 => "No network namespace could be looked at".to_owned(),
        None => "Looked".to_owned(),
        Some(1) => "Looked at 1 socket".to_owned(),
        Some(count) => format!("Looked at {count} sockets"),
    };
    match looked.namespaces {
        0 => {}
        1 => text.push_str(" in 1 network namespace"),
        count => {
            let _ = write!(text, " in {count} network namespaces");
        }
    }
    if !filters.is_empty() {
        let _ = write!(text, ", for what passes {filters}");
    }
    text.push('.');
    Some(text)
}

/// The caveats, and what the kernel's counters say: not yet fit for a terminal.
fn texts(snapshot: &Snapshot) -> Vec<String> {
    let mut warnings = caveat::texts(&snapshot.caveats);
    let tracing = &snapshot.tracing;
    if tracing.hook.is_none() {
        return warnings; // a recording, whose caveats say what is missing, or a single look
    }
    if tracing.lost > 0 {
        warnings.push(format!(
            "{} sockets did not fit into the kernel's map: tcptrace finds them by listing, and \
             their ages are lower bounds (a larger --max-sockets makes room)",
            tracing.lost
        ));
    }
    if let Some(misses @ 1..) = tracing.recursion_misses {
        warnings.push(format!(
            "the kernel skipped {misses} runs of the program: tcptrace finds the missed sockets by \
             listing, and their ages are lower bounds"
        ));
    }
    warnings
}
