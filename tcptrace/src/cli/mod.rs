//! The command line.

mod filters;
pub mod values;

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args, FromArgMatches as _, Parser, Subcommand};
pub use filters::Filters;
use tcptrace_common::{TcpState, TrackSettings};

use crate::{
    model::hist::{durations::Asked, key::Part},
    source::bpf::load::{AcceptChoice, HookChoice},
};

const EXAMPLES: &str = "\
Examples:
  sudo tcptrace                             what is stuck now, refreshed every 2 s
  sudo tcptrace --once                      one look
  sudo tcptrace --older-than 5min           only what has been stuck for long
  sudo tcptrace --remote 10.0.0.0/8 --port 8080
  sudo tcptrace --comm java --all           every socket of every process called java
  sudo tcptrace --state FIN_WAIT2           sockets whose peer does not close
  sudo tcptrace --once --json | jq '.groups[0]'

Ages with ≥ are of sockets that were stuck before tcptrace started: at least that old.
Ctrl-C ends with a summary. Exit code: 0, 1 when something failed, 2 for a wrong command line.";

const LOG_EXAMPLES: &str = "\
Examples:
  sudo tcptrace log                         every transition on the machine
  sudo tcptrace log --pid 4242 --children   those of a process and of its descendants
  sudo tcptrace log --state CLOSE_WAIT      only into and out of CLOSE_WAIT
  sudo tcptrace log --dir /var/log/tcp      a file for each process, and an index
  sudo tcptrace log --json -o night.jsonl.zst
                                            a recording, for `tcptrace replay`

The process is the one that connected, accepted or listens, whoever's packet came in;
? where that is not known. Ctrl-C ends with what is still open and a summary.";

const HIST_EXAMPLES: &str = "\
Examples:
  sudo tcptrace hist                        how long sockets stay in CLOSE_WAIT, until Ctrl-C
  sudo tcptrace hist --by comm              the same for each program
  sudo tcptrace hist --by pid,remote --top 3 --duration 1min
  sudo tcptrace hist --all-states --port 443
  sudo tcptrace hist --state ESTABLISHED --by remote --interval 10s
  sudo tcptrace hist --duration 10s --json | jq '.histograms[0].quantiles'

Sockets that are still in the state are shown as \"so far\": a leak never finishes. What has been
longest in the state altogether comes first. Durations are counted in the kernel, in buckets that
are at most 12.5 % wide: a quantile is within 6.25 % of the truth.";

const REPLAY_EXAMPLES: &str = "\
Examples:
  tcptrace replay night.jsonl.zst           what was stuck when the recording ended
  tcptrace replay night.jsonl log --comm java
  tcptrace replay night.jsonl hist --by remote
  zcat old.jsonl.gz | tcptrace replay - stuck --json

It needs no privileges, and works on any machine.";

/// Finds TCP sockets stuck in CLOSE_WAIT: which, how long, whose, towards whom
#[derive(Debug, Parser)]
#[command(
    name = "tcptrace",
    version,
    args_conflicts_with_subcommands = true,
    after_help = EXAMPLES,
    max_term_width = 100
)]
pub struct Cli {
    /// What to do; `stuck` when not given
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of `stuck`
    #[command(flatten)]
    pub stuck: Stuck,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Reports stuck sockets: age, owner, remote, queues (the default command)
    #[command(after_help = EXAMPLES)]
    Stuck(Box<Stuck>),
    /// Writes every transition as it happens, under the process whose socket it is
    #[command(after_help = LOG_EXAMPLES)]
    Log(Box<Log>),
    /// Counts how long sockets stay in each state: histograms, by process, remote, …
    #[command(after_help = HIST_EXAMPLES)]
    Hist(Box<Hist>),
    /// Shows a recording (a log in JSON) as `stuck`, `log` or `hist` would have
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(Box<Replay>),
    /// Says what this kernel and these privileges allow, and how to get the rest
    Doctor(Doctor),
}

/// Options of `tcptrace log`.
#[derive(Debug, Args)]
pub struct Log {
    /// Only transitions into or out of this state (several: any of them)
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = values::any_state)]
    pub state: Vec<TcpState>,
    /// Write JSON, one line a transition (schema tcptrace.transition/1): a recording
    #[arg(long)]
    pub json: bool,
    /// Write to this file instead of the screen, in place of what is in it; one that ends in .zst is
    /// compressed
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write one file for each process into this folder, and an index; what is there is continued
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    pub dir: Option<PathBuf>,
    /// Begin a new file when one has reached this size, such as 64MiB
    #[arg(long, value_name = "SIZE", requires = "dir", value_parser = values::size)]
    pub rotate_size: Option<u64>,
    /// Keep so many old files of each process
    #[arg(long, value_name = "N", default_value_t = 5, requires = "rotate_size")]
    pub rotate_keep: u32,
    /// End after this time
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub duration: Option<Duration>,
    /// Follow the descendants of the processes named by --pid too
    #[arg(long, requires = "pid")]
    pub children: bool,
    /// Which sockets
    #[command(flatten)]
    pub filters: Filters,
    /// How to attach to the kernel
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = false)]
    pub hook: HookChoice,
    /// How to learn who accepts a connection
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = false)]
    pub accept: AcceptChoice,
    /// Memory for transitions that are not read yet (a power of 2, 64KiB or more)
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = values::buffer)]
    pub buffer: u64,
    /// Room for so many sockets in the kernel [default: 1000000, with the tracepoint hook 65536]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub max_sockets: Option<u32>,
    /// Say more: -v how tcptrace works here, -vv also the kernel side's own messages
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

/// Options of `tcptrace hist`.
#[derive(Debug, Args)]
pub struct Hist {
    /// What to show
    #[command(flatten)]
    pub show: Histograms,
    /// Print the histograms of each such time, and at the end those of all of it
    #[arg(long, value_name = "DURATION", value_parser = values::interval)]
    pub interval: Option<Duration>,
    /// End after this time
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub duration: Option<Duration>,
    /// Follow the descendants of the processes named by --pid too
    #[arg(long, requires = "pid")]
    pub children: bool,
    /// How to attach to the kernel
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = false)]
    pub hook: HookChoice,
    /// How to learn who accepts a connection
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = false)]
    pub accept: AcceptChoice,
    /// Room for so many sockets in the kernel [default: 1000000, with the tracepoint hook 65536]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub max_sockets: Option<u32>,
    /// Say more: -v how tcptrace works here, -vv also the kernel side's own messages
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

/// What to show of durations, live or of a recording.
#[derive(Debug, Args)]
pub struct Histograms {
    /// The states in which to count
    #[arg(long, value_name = "STATE", value_delimiter = ',', default_value = "CLOSE_WAIT",
          value_parser = values::counted_state)]
    pub state: Vec<TcpState>,
    /// Count in every state
    #[arg(long, conflicts_with = "state")]
    pub all_states: bool,
    /// Split by this (several: by all of them together)
    #[arg(long, value_name = "PART", value_delimiter = ',', value_enum)]
    pub by: Vec<Part>,
    /// Show so many of each state at most, those with the most time in it [default: 10, all in JSON]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub top: Option<u32>,
    /// Keep so many apart at most; what comes later counts as "other"
    #[arg(long, value_name = "N", default_value_t = 512,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_keys: u32,
    /// Let quantiles and the longest also count what has not ended, as if it did now
    #[arg(long)]
    pub include_open: bool,
    /// Write JSON, one line a report (schema tcptrace.hist/1)
    #[arg(long)]
    pub json: bool,
    /// Draw with plain ASCII
    #[arg(long, conflicts_with = "json")]
    pub ascii: bool,
    /// Which sockets
    #[command(flatten)]
    pub filters: Filters,
}

impl Histograms {
    /// What to count.
    #[must_use]
    pub fn asked(&self) -> Asked {
        let wanted = |state: &TcpState| self.all_states || self.state.contains(state);
        let mut by = self.by.clone();
        by.sort_unstable();
        by.dedup();
        Asked {
            states: values::COUNTED.into_iter().filter(wanted).collect(),
            by,
            max_keys: self.max_keys as usize,
        }
    }
}

/// Options of `tcptrace replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The recording, as `log --json` wrote it (also .zst); - for standard input
    pub file: PathBuf,
    /// What to show; `stuck` when not given
    #[command(subcommand)]
    pub view: Option<ReplayView>,
}

/// What to show of a recording.
#[derive(Debug, Subcommand)]
pub enum ReplayView {
    /// Sockets that were stuck when the recording ended
    Stuck(Box<Show>),
    /// Its transitions
    Log(Box<ReplayLog>),
    /// How long sockets stayed in each state
    Hist(Box<Histograms>),
}

/// Options of `tcptrace replay FILE log`.
#[derive(Debug, Args)]
pub struct ReplayLog {
    /// Only transitions into or out of this state (several: any of them)
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = values::any_state)]
    pub state: Vec<TcpState>,
    /// Write JSON, one line a transition (schema tcptrace.transition/1)
    #[arg(long)]
    pub json: bool,
    /// Which sockets
    #[command(flatten)]
    pub filters: Filters,
}

/// Options of `tcptrace doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Write one line of JSON (schema tcptrace.doctor/1)
    #[arg(long)]
    pub json: bool,
}

/// Options of `tcptrace stuck`.
#[derive(Debug, Args)]
pub struct Stuck {
    /// What to show
    #[command(flatten)]
    pub show: Show,
    /// Look once and exit
    #[arg(long, conflicts_with_all = ["interval", "duration"])]
    pub once: bool,
    /// Time between looks
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = values::interval)]
    pub interval: Duration,
    /// End after this time
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub duration: Option<Duration>,
    /// How to attach to the kernel
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = false)]
    pub hook: HookChoice,
    /// Room for so many sockets in the kernel [default: 1000000, with the tracepoint hook 65536]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub max_sockets: Option<u32>,
    /// Say more: -v how tcptrace works here, -vv also the kernel side's own messages
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

/// What to show of stuck sockets, live or of a recording.
#[derive(Debug, Args)]
pub struct Show {
    /// A socket is stuck when it has been in the state for this long; 0s shows all
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = values::duration)]
    pub older_than: Duration,
    /// The state to watch
    #[arg(long, value_name = "STATE", default_value = "CLOSE_WAIT", value_parser = values::state)]
    pub state: TcpState,
    /// Write JSON, one line a look (schema tcptrace.stuck/1)
    #[arg(long)]
    pub json: bool,
    /// Show so many sockets at most [default: what fits on the terminal, 50 elsewhere, all in JSON]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Show all sockets
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
    /// Which sockets
    #[command(flatten)]
    pub filters: Filters,
}

impl Default for Show {
    /// What stands in when nothing is given.
    fn default() -> Self {
        let command = Self::augment_args(clap::Command::new("stuck"));
        // Every option has a default or may be left out; a test makes sure.
        let matches = command.try_get_matches_from(["stuck"]);
        let show = matches.and_then(|matches| Self::from_arg_matches(&matches));
        show.unwrap_or_else(|error| error.exit())
    }
}

impl Log {
    /// What of the filters the kernel applies beside [`Filters::kernel`].
    #[must_use]
    pub fn kernel_log(&self) -> TrackSettings {
        let states = self.state.iter();
        TrackSettings {
            states: states.fold(0, |mask, state| mask | 1 << state.number()),
            ..self.filters.kernel_by_owner()
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
        let show = Show::default();
        let live = Cli::parse_from(["tcptrace"]).stuck.show;
        assert_eq!(format!("{show:?}"), format!("{live:?}"));
    }
}
