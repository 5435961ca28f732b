//! The tool against real sockets of which the truth is known.
//!
//! Every test makes network namespaces of its own and points the tool at them, so that tests run side by side and
//! leave the machine alone. They need root; `cargo xtask test` runs them. Without root they are reported as ignored.
//!
//! `TCPTRACE_BIN` names another binary to test. `TCPTRACE_TEST_SLOWNESS` multiplies limits on a slow machine, such
//! as an emulated one.

mod harness;
mod hist;
mod log;
mod machine;
mod run;
mod stuck;
mod truth;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use testbed::{Netns, actor};

use crate::harness::case::Cases;

fn main() -> ExitCode {
    // The actors of the testbed are this very program, run again.
    if let Some(code) = actor::main(std::env::args_os().skip(1)) {
        return code;
    }
    let arguments = Arguments::from_args();
    let missing = why_not();
    if let Some(why) = &missing {
        eprintln!("live tests are ignored: {why}; `cargo xtask test` runs them as root");
    }
    let mut cases = Cases::new(missing.is_some());
    truth::add(&mut cases);
    stuck::add(&mut cases);
    machine::add(&mut cases);
    log::add(&mut cases);
    hist::add(&mut cases);
    libtest_mimic::run(&arguments, cases.into_trials()).exit_code()
}

/// Why live tests cannot run here, if they cannot.
fn why_not() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("they load BPF programs and make network namespaces, which needs root".into());
    }
    Netns::new().err().map(|error| format!("{error:#}"))
}
