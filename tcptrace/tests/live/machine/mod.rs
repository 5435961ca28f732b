//! The tool on its machine: what that allows, how the tool ends, and what goes away meanwhile.

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
}
