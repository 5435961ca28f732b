//! Outputs that are blocked, full, renamed, or not to be trusted.

mod blocked;
mod folder;
mod full;
mod reopened;
mod run;
mod terminal;

use crate::harness::case::Cases;

pub fn add(cases: &mut Cases) {
    blocked::add(cases);
    folder::add(cases);
    full::add(cases);
    reopened::add(cases);
    terminal::add(cases);
}
