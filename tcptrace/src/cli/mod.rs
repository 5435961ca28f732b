//! The command line. Only this module reads it, and turns it into a plain [`Request`] without looking
//! at the machine.

#[cfg(test)]
mod absurd_tests;
mod choices;
mod doctor;
mod filters;
mod hist;
mod log;
mod numbers;
mod replay;
mod states;
mod stuck;
mod usage;
mod values;

use clap::{Parser, Subcommand};
pub use usage::{of_usage, rewritten};

use crate::model::request::Request;

/// Finds TCP sockets stuck in CLOSE_WAIT and shows their age, process and remote address
#[derive(Debug, Parser)]
#[command(
    name = "tcptrace",
    // Otherwise the help and errors repeat what whoever started it calls it.
    bin_name = "tcptrace",
    version,
    args_conflicts_with_subcommands = true,
    after_help = stuck::EXAMPLES,
    max_term_width = 100
)]
pub struct Cli {
    /// What to do; the default is `stuck`
    #[command(subcommand)]
    command: Option<Command>,
    /// Options of `stuck`
    #[command(flatten)]
    stuck: stuck::Stuck,
    /// Write text in ASCII only, as is done where the locale is not UTF-8
    #[arg(long, global = true)]
    pub ascii: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Reports stuck sockets: age, owner, remote, queues (the default command)
    #[command(after_help = stuck::EXAMPLES)]
    Stuck(Box<stuck::Stuck>),
    /// Counts sockets by state, process and remote: what `netstat | awk` is used for
    #[command(after_help = states::EXAMPLES)]
    States(Box<states::States>),
    /// Writes every state transition as it happens, with the process that owns the socket
    #[command(after_help = log::EXAMPLES)]
    Log(Box<log::Log>),
    /// Shows histograms of how long sockets stay in each state, by process, remote, …
    #[command(after_help = hist::EXAMPLES)]
    Hist(Box<hist::Hist>),
    /// Shows a recording (a log in JSON) the way `stuck`, `log` or `hist` would have
    #[command(after_help = replay::EXAMPLES)]
    Replay(Box<replay::Replay>),
    /// Shows what works with this kernel and these privileges, and how to get the rest
    Doctor(doctor::Doctor),
}

impl Cli {
    /// The request.
    #[must_use]
    pub fn request(self) -> Request {
        match self.command {
            Some(Command::Stuck(arguments)) => Request::Stuck(arguments.request()),
            Some(Command::States(arguments)) => Request::States(arguments.request()),
            Some(Command::Log(arguments)) => Request::Log(arguments.request()),
            Some(Command::Hist(arguments)) => Request::Hist(arguments.request()),
            Some(Command::Replay(arguments)) => Request::Replay(arguments.request()),
            Some(Command::Doctor(arguments)) => Request::Doctor(arguments.request()),
            None => Request::Stuck(self.stuck.request()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_replay_shows_by_default_what_stuck_does() {
        let show = stuck::ShowStuck::default();
        let live = Cli::parse_from(["tcptrace"]).stuck.show;
        assert_eq!(format!("{show:?}"), format!("{live:?}"));
    }
}
