//! How many sockets are stuck, what was looked at, and warnings about these figures.

use std::{
    fmt::Write as _,
    time::{Duration, UNIX_EPOCH},
};

use crate::{
    model::stuck::snapshot::{Snapshot, Watched},
    view::{
        parts::{
            age::age,
            caveat,
            clean::clean,
            style::{HEADING, WARNING},
        },
        stuck::{notes::beside_text, residue::sockets},
    },
};

/// What stands above all tables, with colours: how many are stuck, what was looked at, and what to know.
pub fn top(snapshot: &Snapshot) -> Vec<String> {
    let mut lines = vec![headline(snapshot)];
    lines.extend(scope(snapshot));
    let notes = beside_text(snapshot);
    lines.extend(notes.iter().map(|note| clean(note)));
    let warnings = warnings(snapshot);
    let warnings = warnings.iter().map(|warning| clean(warning));
    lines.extend(warnings.map(|text| format!("{WARNING}warning: {text}{WARNING:#}")));
    lines
}

/// The first line.
fn headline(snapshot: &Snapshot) -> String {
    let watched = &snapshot.watched;
    let state = watched.state.name();
    let (stuck, may_be) = (snapshot.stuck(), snapshot.may_be());
    let mut text = match (stuck, may_be) {
        _ if looked_at_nothing(snapshot) => "Nothing was looked at".to_owned(),
        (0, 0) => format!("Nothing stuck in {state}"),
        (0, may_be) => format!("{} may be stuck in {state}", sockets(may_be)),
        (stuck, _) => format!("{} stuck in {state}", sockets(stuck)),
    };
    if watched.older_than_ns > 0 && !looked_at_nothing(snapshot) {
        let _ = write!(text, " for {} or longer", age(watched.older_than_ns, true));
    }
    if stuck > 0 && may_be > 0 {
        let _ = write!(text, "; {may_be} more may be");
    }
    if snapshot.younger.count > 0 {
        let _ = write!(text, "; {} younger", snapshot.younger.count);
    }
    if let Some(residue) = snapshot.residue.as_ref().filter(|all| !all.is_empty()) {
        let _ = write!(text, ", {} residue", residue.len());
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

/// Whether the look saw no network namespace.
fn looked_at_nothing(snapshot: &Snapshot) -> bool {
    snapshot.looked.is_some_and(|looked| looked.namespaces == 0)
}

/// What stands below the first line: what an all-clear is about, and what the filter leaves out. Fit for
/// a terminal.
fn scope(snapshot: &Snapshot) -> Vec<String> {
    let mut lines = Vec::new();
    let watched = &snapshot.watched;
    let younger = snapshot.younger;
    let is_clear = snapshot.sockets.is_empty();
    if is_clear && younger.count > 0 {
        let oldest = age(younger.oldest_at_most_ns, true);
        lines.push(match younger.count {
            1 => format!("1 is in it, for {oldest} at most (--older-than 0s shows it)."),
            count => format!(
                "{count} are in it, all younger: the oldest for {oldest} at most (--older-than 0s shows them)."
            ),
        });
    }
    if is_clear {
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
            filters(watched)
        ));
    }
    lines
}

/// What the look went through, and which filter was set.
fn looked_at(snapshot: &Snapshot) -> Option<String> {
    let Some(looked) = snapshot.looked else {
        let is_filtered = !snapshot.watched.filters.is_empty();
        return is_filtered
            .then(|| format!("Only what passes {} counts.", filters(&snapshot.watched)));
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
    if !snapshot.watched.filters.is_empty() {
        let _ = write!(text, ", for what passes {}", filters(&snapshot.watched));
    }
    text.push('.');
    Some(text)
}

fn filters(watched: &Watched) -> String {
    clean(&watched.filters.to_string())
}

/// The warnings: not yet fit for a terminal.
fn warnings(snapshot: &Snapshot) -> Vec<String> {
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
