//! How far a moment that the tool tells may lie from the truth.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testbed::{Span, clock::slowness};

/// How far an exact moment may lie outside of the truth's bracket. The kernel and the testbed read the same clock,
/// so this needs no allowance for slow machines.
pub const EXACT_NS: u64 = 1_000_000;

/// The same where several programs read the clock one after another, each of them as slowly as the machine is.
pub fn exact_ns() -> u64 {
    EXACT_NS * u64::from(slowness())
}

/// By how much an age that is "at least" may be above the truth, for each unit of slowness beyond 1: on a real machine
/// not at all. An emulated one misses ticks and makes up for them all at once, so that by the kernel's own count of
/// ticks more time has passed than by its clock.
pub const ABOVE_NS: u64 = 5_000_000;

/// A moment that is told exactly lies in the truth's span.
pub fn within(moment: u64, span: Span) -> Result<()> {
    let early = (span.before_ns - EXACT_NS).saturating_sub(moment);
    ensure!(early == 0, "too early by {} us", early / 1000);
    let late = moment.saturating_sub(span.after_ns + EXACT_NS);
    ensure!(late == 0, "too late by {} us", late / 1000);
    Ok(())
}

/// How far a time that is told as the least may fall short of the truth on a machine with other work, where a look has
/// been seen to be put off by 7 ms, and by 10 ms on an emulated one.
pub fn short_ns() -> u64 {
    SHORT_NS * u64::from(slowness().min(4))
}

const SHORT_NS: u64 = 50_000_000;

/// Has sockets be in their state for so long that no wrong time passes for "at least".
pub fn let_them_age() {
    std::thread::sleep(Duration::from_nanos(2 * SHORT_NS));
}

/// A time that is told as the least is not above the truth, and not far below it.
pub fn at_least(moment: u64, spent: u64, span: Span) -> Result<()> {
    let slower = ABOVE_NS * (u64::from(slowness()) - 1);
    let since = moment
        .checked_sub(spent)
        .context("older than the machine")?;
    ensure!(
        since + slower >= span.before_ns,
        "too long by {} us",
        (span.before_ns - since) / 1000
    );
    let latest = span.after_ns + short_ns();
    ensure!(
        moment > latest,
        "the test looks too early: a time of 0 would pass, after {} us",
        (moment - span.after_ns) / 1000
    );
    ensure!(
        since <= latest,
        "too short by {} us",
        (since - latest) / 1000
    );
    Ok(())
}
