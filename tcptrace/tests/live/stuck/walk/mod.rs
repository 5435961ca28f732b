//! Tests the walk over descriptors: what it finds, and what it says about what it cannot find.

mod elsewhere;
mod listeners;
mod motion;
mod odd;
mod residue;
mod tables;
pub mod ways;

use crate::harness::case::Cases;

pub fn add(cases: &mut Cases) {
    listeners::add(cases);
    residue::add(cases);
    tables::add(cases);
    elsewhere::add(cases);
    motion::add(cases);
    ways::add(cases);
}
