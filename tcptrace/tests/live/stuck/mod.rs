//! Tests `tcptrace stuck`: what it lists of sockets that are left, held, filtered out, or no longer stuck.

mod check;
mod endings;
mod filters;
pub mod holders;
mod leaks;
mod limits;
mod output;
mod queues;
mod states;
pub mod walk;

use crate::harness::case::Cases;

pub fn add(cases: &mut Cases) {
    leaks::add(cases);
    holders::add(cases);
    endings::add(cases);
    states::add(cases);
    queues::add(cases);
    walk::add(cases);
    filters::add(cases);
    limits::add(cases);
    output::add(cases);
}
