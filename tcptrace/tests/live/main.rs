//! Tests the tool against real sockets whose truth is known.
//!
//! Every test makes its own network namespaces and points the tool at them. So tests can run at the same time and do
//! not change the machine. They need root; `cargo xtask test` runs them. Without root they are reported as ignored.
//!
//! `TCPTRACE_BIN` names another binary to test. `TCPTRACE_TEST_SLOWNESS` multiplies limits on a slow machine, such
//! as an emulated one. `TCPTRACE_TEST_KERNEL_ONLY` leaves out the tests that do not depend on the kernel.

mod cause;
mod figures;
mod harness;
mod hist;
mod kinds;
mod log;
mod machine;
mod output;
mod run;
mod stuck;
mod truth;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use testbed::{Netns, actor};

use crate::harness::case::{self, Cases};

fn main() -> ExitCode {
    // The actors of the testbed are this program, started again.
    if let Some(code) = actor::main(std::env::args_os().skip(1)) {
        return code;
    }
    if let Some(code) = machine::confined::attempts::main(std::env::args_os().skip(1)) {
        return code;
    }
    let arguments = Arguments::from_args();
    let mut cases = Cases::default();
    truth::add(&mut cases);
    stuck::add(&mut cases);
    cause::add(&mut cases);
    figures::add(&mut cases);
    kinds::add(&mut cases);
    machine::add(&mut cases);
    log::add(&mut cases);
    hist::add(&mut cases);
    output::add(&mut cases);
    if std::env::var_os("TCPTRACE_TEST_KERNEL_ONLY").is_some() {
        println!("left to the host: {} tests", cases.leave_out_here());
    }
    let why_none = why_not();
    let conclusion = libtest_mimic::run(&arguments, cases.into_trials(why_none.is_some()));
    let why_none = why_none.map(|why| format!("ignored: all of them: {why}"));
    for line in why_none.into_iter().chain(case::notes()) {
        println!("{line}");
    }
    conclusion.exit_code()
}

/// Why live tests cannot run here, if they cannot.
fn why_not() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("they need root; `cargo xtask test` runs them as root".into());
    }
    Netns::new().err().map(|error| format!("{error:#}"))
}
