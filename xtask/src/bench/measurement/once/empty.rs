//! One look at a machine on which nothing is stuck.

use std::fs;

use anyhow::{Context, Result};

use super::race::{HEAD, ONCE, Race, SS, Way};
use crate::bench::{Plan, report::Section};

const ROUNDS: usize = 31;
/// The most that tcptrace may take, relative to ss.
const MOST: f64 = 0.6;

pub fn measure(plan: &Plan, section: &mut Section) -> Result<()> {
    let ways = Way::usual(plan);
    let race = Race {
        rounds: ROUNDS,
        least_lines: 0,
        inside: None,
    };
    let times = race.run(plan, &ways, || Ok(()))?;
    section.part("Nothing stuck");
    section.say(&format!(
        "The machine as it is, with {} processes. `ss` looks at its own network namespace only, `tcptrace` at every \
         one.",
        processes()?,
    ));
    section.table(&HEAD, &times.rows());
    if let Some(ratio) = times.ratio(ONCE, SS) {
        let what = "`tcptrace --once` with nothing stuck, relative to `ss -tanp`";
        section.at_most(what, ratio.median, MOST, "×");
    }
    Ok(())
}

fn processes() -> Result<usize> {
    let entries = fs::read_dir("/proc").context("cannot count the processes")?;
    let is_process = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    Ok(entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_process))
        .count())
}
