//! How many sockets are stuck, and warnings about this figure.

use std::{
    fmt::Write as _,
    time::{Duration, UNIX_EPOCH},
};

use crate::{
    model::stuck::snapshot::Snapshot,
    view::parts::{age::age, caveat, style::HEADING},
};

/// The first line.
pub fn headline(snapshot: &Snapshot) -> String {
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

/// The warnings: not yet fit for a terminal.
pub fn warnings(snapshot: &Snapshot) -> Vec<String> {
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
