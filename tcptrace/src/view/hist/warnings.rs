//! What makes a report less than certain, in words.

use crate::{model::hist::report::Report, view::parts::caveat};

/// The warnings about a report: not yet fit for a terminal.
#[must_use]
pub fn warnings(report: &Report) -> Vec<String> {
    let mut warnings = caveat::texts(&report.caveats);
    let account = &report.account;
    if account.unkeyed > 0 {
        warnings.push(format!(
            "{} durations found no room for their key and count as \"other\" (a larger --max-keys \
             than {} makes room)",
            account.unkeyed, report.selection.max_keys
        ));
    }
    if account.lost > 0 && account.hook.is_some() {
        warnings.push(format!(
            "{} durations of sockets from before the start were lost because the buffer was full",
            account.lost
        ));
    }
    if account.untracked > 0 && account.hook.is_some() {
        warnings.push(format!(
            "{} sockets did not fit into the kernel's table: their durations are not known (a \
             larger --max-sockets makes room)",
            account.untracked
        ));
    }
    if let (Some(runs @ 1..), Some(_)) = (account.skipped, account.hook) {
        warnings.push(format!(
            "the kernel skipped {runs} runs of the program: at most as many durations are missing \
             or not known"
        ));
    }
    if account.unfollowed > 0 {
        warnings.push(format!(
            "{} descendants could not be followed because the list was full",
            account.unfollowed
        ));
    }
    warnings
}
