//! The `tcptrace` command.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use tcptrace::{cli::Cli, command};

fn main() -> ExitCode {
    match command::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "tcptrace: {error:#}");
            ExitCode::FAILURE
        }
    }
}
