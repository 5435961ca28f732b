//! The `tcptrace` command.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use tcptrace::{
    cli::{self, Cli},
    command::{self, Outcome},
    model::request::UsageError,
};

/// The exit code for more sockets than `--fail-over` allows.
const OVER: u8 = 3;

fn main() -> ExitCode {
    match command::run(Cli::parse().request()) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Over) => ExitCode::from(OVER),
        Err(error) => {
            if let Some(usage) = error.downcast_ref::<UsageError>() {
                cli::of_usage(usage).exit();
            }
            // There is nowhere to report that standard error is closed.
            let _ = writeln!(std::io::stderr(), "tcptrace: {error:#}");
            ExitCode::FAILURE
        }
    }
}
