//! The truth, found without the tool: connections whose every step is known, and witnesses that confirm it.

pub mod churn;
pub mod endings;
pub mod ends;
pub mod openings;
pub mod scene;
pub mod stage;
pub mod witness;

use crate::harness::case::Cases;

pub fn add(cases: &mut Cases) {
    stage::add(cases);
    witness::add(cases);
}
