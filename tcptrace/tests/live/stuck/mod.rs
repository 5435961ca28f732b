//! Tests `tcptrace stuck`: what it lists of sockets that are left, held, filtered out, or no longer stuck.

pub mod check;
mod endings;
mod exits;
mod facts;
mod filters;
pub mod holders;
mod leaks;
mod limits;
mod output;
pub mod process_states;
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
    exits::add(cases);
    facts::add(cases);
    process_states::add(cases);
    walk::add(cases);
    filters::add(cases);
    limits::add(cases);
    output::add(cases);
}
