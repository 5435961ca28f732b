//! How much a time that the tool shows may differ from the truth.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testbed::{Span, clock::slowness};

/// How far an exact time may be outside of the truth's bounds. The kernel and the testbed read the same clock, so
/// this needs no allowance for slow machines.
pub const EXACT_NS: u64 = 1_000_000;

/// The same if several programs read the clock one after another, which takes longer on a slow machine.
pub fn exact_ns() -> u64 {
    EXACT_NS * u64::from(slowness())
}

/// How much an age that is "at least" may be above the truth, for each unit of slowness above 1. It is 0 on a real
/// machine. An emulated machine misses ticks and makes up for all of them at once. More time has then passed by the
/// kernel's count of ticks than by its clock.
pub const ABOVE_NS: u64 = 5_000_000;

/// Checks that an exact time is in the truth's span.
pub fn within(moment: u64, span: Span) -> Result<()> {
    let early = (span.before_ns - EXACT_NS).saturating_sub(moment);
    ensure!(early == 0, "too early by {} us", early / 1000);
    let late = moment.saturating_sub(span.after_ns + EXACT_NS);
    ensure!(late == 0, "too late by {} us", late / 1000);
    Ok(())
}

/// How much a lower bound may be below the truth on a machine with other work. Looks have been up to 7 ms late
/// there, and up to 10 ms late on an emulated machine.
pub fn short_ns() -> u64 {
    SHORT_NS * u64::from(slowness().min(4))
}

const SHORT_NS: u64 = 50_000_000;

/// Leaves sockets in their state for long enough that no wrong time passes as "at least".
pub fn let_them_age() {
    std::thread::sleep(Duration::from_nanos(2 * short_ns()));
}

/// Checks that a lower bound is not above the truth.
pub fn not_above(moment: u64, spent: u64, span: Span) -> Result<()> {
    let slower = ABOVE_NS * (u64::from(slowness()) - 1);
    let since = moment
        .checked_sub(spent)
        .context("longer than the uptime")?;
    let above = span.before_ns.saturating_sub(since + slower);
    ensure!(above == 0, "too long by {} us", above / 1000);
    Ok(())
}

/// Checks that a lower bound is not above the truth, and at most this much below it.
pub fn at_least(moment: u64, spent: u64, span: Span, short_ns: u64) -> Result<()> {
    not_above(moment, spent, span)?;
    let latest = span.after_ns + short_ns;
    ensure!(
        moment > latest,
        "the test looks too early: a time of 0 would pass, after {} us",
        (moment - span.after_ns) / 1000
    );
    let slower = ABOVE_NS * (u64::from(slowness()) - 1);
    let short = (moment - spent).saturating_sub(latest + slower);
    ensure!(short == 0, "too short by {} us", short / 1000);
    Ok(())
}
