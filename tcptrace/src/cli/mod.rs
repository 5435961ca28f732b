//! The command line. Only this module reads it, and turns it into a plain [`Request`] without looking
//! at the machine.

#[cfg(test)]
mod absurd_tests;
mod choices;
mod doctor;
mod filters;
mod help;
mod hist;
mod log;
mod numbers;
mod replay;
mod states;
mod stuck;
mod values;
mod wrong;

use std::ffi::OsString;

use clap::{FromArgMatches as _, Parser, Subcommand};
pub use wrong::{Clean, of_usage};

use crate::model::request::Request;

/// In the order of an incident.
const EXAMPLES: &str = "\
Examples, in the order of an incident (more: tcptrace stuck --help):
  sudo tcptrace                   what is stuck now, and is it a leak
  sudo tcptrace --explain         why, and what to do about it
  sudo tcptrace log --pid 4242    who opens the sockets, and when
  sudo tcptrace hist --by comm    how long they stay
  sudo tcptrace log --json -o leak.jsonl.zst    a recording
  tcptrace replay leak.jsonl.zst                what was stuck in it, anywhere";

/// Finds TCP sockets stuck in CLOSE_WAIT: their age, process and remote address
#[derive(Debug, Parser)]
#[command(
    name = "tcptrace",
    // Otherwise the help and errors repeat what whoever started it calls it.
    bin_name = "tcptrace",
    version,
    override_usage = "tcptrace [OPTIONS], or tcptrace COMMAND [OPTIONS]",
    args_conflicts_with_subcommands = true,
    before_help = EXAMPLES,
    after_long_help = stuck::NOTES,
)]
pub struct Cli {
    /// What to do; the default is `stuck`
    #[command(subcommand)]
    command: Option<Command>,
    /// Options of `stuck`
    #[command(flatten)]
    stuck: stuck::Stuck,
    /// Write text in ASCII only, as where the locale is not UTF-8
    #[arg(long, global = true)]
    pub ascii: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Reports stuck sockets: age, owner, remote, queues (the default)
    #[command(before_help = stuck::EXAMPLES, after_long_help = stuck::NOTES)]
    Stuck(Box<stuck::Stuck>),
    /// Counts sockets by state, process and remote: for `netstat | awk`
    #[command(before_help = states::EXAMPLES, after_long_help = states::NOTES)]
    States(Box<states::States>),
    /// Writes every state transition as it happens, with the socket's owner
    #[command(before_help = log::EXAMPLES, after_long_help = log::NOTES)]
    Log(Box<log::Log>),
    /// Shows histograms of how long sockets stay in each state
    #[command(before_help = hist::EXAMPLES, after_long_help = hist::NOTES)]
    Hist(Box<hist::Hist>),
    /// Shows a recording (a log in JSON) as stuck, log or hist would have
    #[command(before_help = replay::EXAMPLES, after_long_help = replay::NOTES)]
    Replay(Box<replay::Replay>),
    /// Shows what works on this machine, and how to get the rest
    #[command(before_help = doctor::EXAMPLES, after_long_help = doctor::NOTES)]
    Doctor(doctor::Doctor),
}

/// Why there is no request.
#[derive(Debug)]
pub enum Ended {
    /// The help or the version is to be shown.
    Help(clap::Error),
    /// The command line is wrong: what happened, why, and what to try, fit for a terminal.
    Wrong(String),
}

/// Reads the command line, which begins with the program's name. `clean` makes what it repeats fit for a terminal.
///
/// # Errors
/// When there is nothing to carry out.
pub fn parse(
    line: impl IntoIterator<Item = impl Into<OsString>>,
    clean: Clean,
) -> Result<Cli, Ended> {
    let line: Vec<OsString> = line.into_iter().map(Into::into).collect();
    let command = help::command();
    let matches = command.clone().try_get_matches_from(&line);
    matches
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| match error.use_stderr() {
            false => Ended::Help(error),
            true => {
                let arguments = line.get(1..).unwrap_or_default();
                Ended::Wrong(wrong::explain(&command, &error, arguments, clean))
            }
        })
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
        help::command().debug_assert();
    }

    #[test]
    fn a_replay_shows_by_default_what_stuck_does() {
        let show = stuck::ShowStuck::default();
        let live = parse(["tcptrace"], str::to_owned)
            .expect("nothing is wrong")
            .stuck
            .show;
        assert_eq!(format!("{show:?}"), format!("{live:?}"));
    }
}
