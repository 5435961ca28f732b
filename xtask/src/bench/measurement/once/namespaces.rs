//! One look at many network namespaces.

use anyhow::Result;

use super::race::{HEAD, ONCE, Race, STATES, Times, Way};
use crate::bench::{Plan, load::namespaces::Namespaces, report::Section};

const SOME: usize = 40;
const QUICK_SOME: usize = 8;
const TIME_WAIT: usize = 47_500;
const QUICK_TIME_WAIT: usize = 500;
const MANY: usize = 500;
const QUICK_MANY: usize = 20;
const ROUNDS: usize = 15;
/// In milliseconds.
const MOST_OF_SOME: f64 = 15.0;
const MOST_OF_MANY: f64 = 120.0;
/// How many times longer counting everything may take than listing what is stuck.
const MOST_OF_STATES: f64 = 2.0;

pub fn measure(plan: &Plan, section: &mut Section) -> Result<()> {
    section.part("Many network namespaces");
    section.say(
        "Each has one process with one listener, and nothing is stuck. `ss` looks at its own namespace only, which is \
         none of these, `tcptrace` at every one.",
    );
    some_with_time_wait(plan, section)?;
    many(plan, section)
}

fn some_with_time_wait(plan: &Plan, section: &mut Section) -> Result<()> {
    let count = plan.size(SOME, QUICK_SOME);
    let wanted = plan.size(TIME_WAIT, QUICK_TIME_WAIT);
    let mut namespaces = Namespaces::new(count)?;
    namespaces.allow_time_wait(2 * wanted)?;
    let times = race(plan, || namespaces.fill_time_wait(wanted))?;
    section.say(&format!(
        "{count} namespaces, one of them with {wanted} sockets in TIME_WAIT. These stay for a minute, so they are made \
         up to that number before each round:",
    ));
    let what = format!("`tcptrace --once`, {count} namespaces and {wanted} in TIME_WAIT");
    add(section, &what, &times, MOST_OF_SOME);
    Ok(())
}

fn many(plan: &Plan, section: &mut Section) -> Result<()> {
    let count = plan.size(MANY, QUICK_MANY);
    let _namespaces = Namespaces::new(count)?;
    let times = race(plan, || Ok(()))?;
    section.say(&format!("{count} namespaces:"));
    let what = format!("`tcptrace --once`, {count} namespaces");
    add(section, &what, &times, MOST_OF_MANY);
    Ok(())
}

fn race(plan: &Plan, prepare: impl FnMut() -> Result<()>) -> Result<Times> {
    let race = Race {
        rounds: ROUNDS,
        least_lines: 0,
        inside: None,
    };
    race.run(plan, &Way::usual(plan), prepare)
}

fn add(section: &mut Section, what: &str, times: &Times, most: f64) {
    section.table(&HEAD, &times.rows());
    if let Some(spread) = times.spread(ONCE) {
        section.at_most(what, spread.median, most, " ms");
    }
    if let Some(ratio) = times.ratio(STATES, ONCE) {
        let what = what.replace(ONCE, STATES);
        let what = format!("{what}, relative to {ONCE}");
        section.at_most(&what, ratio.median, MOST_OF_STATES, "×");
    }
}
