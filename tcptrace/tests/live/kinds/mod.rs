//! Tests what each command says of connections that are not simply TCP sockets of a process in a namespace of a process:
//! MPTCP, what is left of closed sockets, namespaces that no process leads to.

mod mptcp;
mod namespaces;
mod remainders;
mod states;

use crate::harness::case::Cases;

pub fn add(cases: &mut Cases) {
    mptcp::add(cases);
    remainders::add(cases);
    namespaces::add(cases);
    states::add(cases);
}
