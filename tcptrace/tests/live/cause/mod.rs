//! Tests the diagnosis: sockets that are stuck for a reason which is known, and what `tcptrace stuck` says about it.
//!
//! What a rule says of given facts has unit tests beside the rules. Here the facts come from a kernel.

mod check;
mod clients;
mod explained;
mod keepalive;
mod limits;
mod minute;
mod processes;
mod servers;
mod sessions;
mod stories;
mod traffic;

use crate::harness::case::Cases;

pub fn add(cases: &mut Cases) {
    // It waits, and others go on beside it.
    minute::add(cases);
    clients::add(cases);
    servers::add(cases);
    processes::add(cases);
    limits::add(cases);
    stories::add(cases);
    explained::add(cases);
    keepalive::add(cases);
    sessions::add(cases);
}
