//! The subcommands: each chooses a source, feeds the model and hands snapshots to a view.

mod counting;
mod doctor;
mod hist;
mod log;
mod replay;
mod session;
mod stuck;
mod tracking;

use std::io;

use crate::{
    cli::{Cli, Command},
    source::error::StartError,
};

/// Runs what the command line says.
///
/// # Errors
/// When the command fails; the message is for the user.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    let result = match cli.command {
        Some(Command::Stuck(arguments)) => stuck::run(&arguments),
        Some(Command::Log(arguments)) => log::run(&arguments),
        Some(Command::Hist(arguments)) => hist::run(&arguments),
        Some(Command::Replay(arguments)) => replay::run(*arguments),
        Some(Command::Doctor(arguments)) => doctor::run(&arguments),
        None => stuck::run(&cli.stuck),
    };
    match result {
        Err(error) if is_closed_pipe(&error) => Ok(()),
        Err(error) if error.is::<StartError>() => {
            let more = "more: tcptrace doctor (what this machine allows)";
            Err(anyhow::anyhow!("{error}\n  {more}"))
        }
        result => result,
    }
}

/// The reader of our output has seen enough.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
