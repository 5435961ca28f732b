//! The tool against real sockets of which the truth is known.
//!
//! Every test makes network namespaces of its own and points the tool at them, so that tests run side by side and
//! leave the machine alone. They need root; `cargo xtask test` runs them. Without root they are reported as ignored.
//!
//! `TCPTRACE_BIN` names another binary to test. `TCPTRACE_TEST_SLOWNESS` multiplies limits on a slow machine, such
//! as an emulated one.

mod case;
mod check;
mod churn;
mod doctor;
mod endings;
mod filters;
mod hist_before;
mod hist_buckets;
mod hist_churn;
mod hist_decades;
mod hist_filters;
mod hist_keys;
mod hist_limits;
mod hist_output;
mod hist_replay;
mod hist_tool;
mod hist_truth;
mod holders;
mod kernel;
mod leaks;
mod limits;
mod log_before;
mod log_check;
mod log_files;
mod log_filters;
mod log_headers;
mod log_limits;
mod log_openings;
mod log_scene;
mod log_tool;
mod log_ways;
mod log_witness;
mod logs;
mod output;
mod place;
mod privileges;
mod queues;
mod report;
mod states;
mod stopping;
mod tool;
mod truths;
mod vanishing;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use testbed::{Netns, actor};

fn main() -> ExitCode {
    // The actors of the workload are this very program, run again.
    if let Some(code) = actor::main(std::env::args_os().skip(1)) {
        return code;
    }
    let arguments = Arguments::from_args();
    let missing = why_not();
    if let Some(why) = &missing {
        eprintln!("live tests are ignored: {why}; `cargo xtask test` runs them as root");
    }
    let mut cases = case::Cases::new(missing.is_some());
    truths::add(&mut cases);
    leaks::add(&mut cases);
    holders::add(&mut cases);
    endings::add(&mut cases);
    states::add(&mut cases);
    queues::add(&mut cases);
    filters::add(&mut cases);
    limits::add(&mut cases);
    output::add(&mut cases);
    stopping::add(&mut cases);
    privileges::add(&mut cases);
    doctor::add(&mut cases);
    vanishing::add(&mut cases);
    log_witness::add(&mut cases);
    logs::add(&mut cases);
    log_before::add(&mut cases);
    log_filters::add(&mut cases);
    log_files::add(&mut cases);
    log_headers::add(&mut cases);
    log_limits::add(&mut cases);
    hist_buckets::add(&mut cases);
    hist_decades::add(&mut cases);
    hist_churn::add(&mut cases);
    hist_replay::add(&mut cases);
    hist_before::add(&mut cases);
    hist_keys::add(&mut cases);
    hist_filters::add(&mut cases);
    hist_limits::add(&mut cases);
    hist_output::add(&mut cases);
    libtest_mimic::run(&arguments, cases.into_trials()).exit_code()
}

/// Why live tests cannot run here, if they cannot.
fn why_not() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("they load BPF programs and make network namespaces, which needs root".into());
    }
    Netns::new().err().map(|error| format!("{error:#}"))
}
