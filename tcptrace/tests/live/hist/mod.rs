//! Tests `tcptrace hist`: the durations that it counts, their keys, and when it reports them.

mod before;
mod buckets;
mod check;
mod churn;
mod decades;
mod filters;
mod keys;
mod limits;
mod output;
mod replay;

use crate::harness::case::Cases;

pub fn add(cases: &mut Cases) {
    buckets::add(cases);
    decades::add(cases);
    churn::add(cases);
    replay::add(cases);
    before::add(cases);
    keys::add(cases);
    filters::add(cases);
    limits::add(cases);
    output::add(cases);
}
