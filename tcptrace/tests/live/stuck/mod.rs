//! Tests `tcptrace stuck`: what it lists of sockets that are left, held, filtered out, or no longer stuck.

mod check;
mod elsewhere;
mod endings;
mod filters;
pub mod holders;
mod leaks;
mod limits;
mod listeners;
mod motion;
mod odd;
mod output;
mod queues;
mod residue;
mod states;
mod tables;
mod ways;

use crate::harness::case::Cases;

pub fn add(cases: &mut Cases) {
    leaks::add(cases);
    holders::add(cases);
    endings::add(cases);
    states::add(cases);
    queues::add(cases);
    listeners::add(cases);
    residue::add(cases);
    tables::add(cases);
    elsewhere::add(cases);
    motion::add(cases);
    ways::add(cases);
    filters::add(cases);
    limits::add(cases);
    output::add(cases);
}
