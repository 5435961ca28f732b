//! Tests the tool on its machine: what the machine allows, how the tool ends, and what disappears while it runs.

mod absent;
mod cgroups;
mod clocks;
pub mod confined;
mod containers;
mod doctor;
mod many;
mod pids;
mod privileges;
mod starts;
mod stopping;
mod vanishing;

use crate::harness::case::Cases;

pub fn add(cases: &mut Cases) {
    stopping::add(cases);
    privileges::add(cases);
    starts::add(cases);
    confined::add(cases);
    doctor::add(cases);
    many::add(cases);
    pids::add(cases);
    containers::add(cases);
    clocks::add(cases);
    vanishing::add(cases);
    absent::add(cases);
    cgroups::add(cases);
}
