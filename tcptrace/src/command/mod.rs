//! The subcommands: each chooses a source, feeds the model and hands snapshots to a view.

mod stuck;

use crate::cli::{Cli, Command};

/// Runs what the command line says.
///
/// # Errors
/// When the command fails; the message is for the user.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Some(Command::Stuck(arguments)) => stuck::run(&arguments),
        None => stuck::run(&cli.stuck),
    }
}
