//! Tests `tcptrace log`: what it shows about transitions, and where its lines go.

mod before;
mod candidates;
mod check;
mod ends;
mod files;
mod filters;
mod headers;
mod histories;
mod limits;
mod users;

use crate::harness::case::Cases;

pub fn add(cases: &mut Cases) {
    histories::add(cases);
    ends::add(cases);
    before::add(cases);
    filters::add(cases);
    files::add(cases);
    headers::add(cases);
    limits::add(cases);
    users::add(cases);
    candidates::add(cases);
}
