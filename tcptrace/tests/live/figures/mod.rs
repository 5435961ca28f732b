//! Tests what `tcptrace stuck` says in figures: how old, how many, in which groups, and with which exit code.

mod ages;
mod clear;
mod counts;
mod groups;
mod outcome;
mod roles;

use crate::harness::case::Cases;

pub fn add(cases: &mut Cases) {
    ages::add(cases);
    clear::add(cases);
    counts::add(cases);
    groups::add(cases);
    outcome::add(cases);
    roles::add(cases);
}
