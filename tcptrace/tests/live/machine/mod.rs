//! Tests the tool on its machine: what the machine allows, how the tool ends, and what disappears while it runs.

mod absent;
mod doctor;
mod privileges;
mod stopping;
mod vanishing;

use crate::harness::case::Cases;

pub fn add(cases: &mut Cases) {
    stopping::add(cases);
    privileges::add(cases);
    doctor::add(cases);
    vanishing::add(cases);
    absent::add(cases);
}
