//! `tcptrace stuck`, the default command.

use std::time::Duration;

use clap::{ArgAction, Args, FromArgMatches as _};
use tcptrace_common::TcpState;

use crate::{
    cli::{filters::FilterArguments, numbers, values},
    model::request::{Explain, HookChoice, Sort, StuckRequest, StuckShow, WalkChoice},
};

/// What the command can be used for.
pub const EXAMPLES: &str = "\
Examples:
  sudo tcptrace                    what is stuck now, refreshed every 2 s
  sudo tcptrace --once             one look
  sudo tcptrace --explain          why, and what to do about it
  sudo tcptrace --older-than 5min  only what has been stuck for that long
  sudo tcptrace --remote 10.0.0.0/8 --port 8080
  sudo tcptrace --comm java --all  every socket of every process named java
  sudo tcptrace --state FIN_WAIT2  sockets whose peer does not close
  sudo tcptrace --once --json | jq '.groups[0]'
  sudo tcptrace --once --fail-over 100 -q
                                   in scripts: exit code 3 if more are listed";

/// What else there is to know.
pub const NOTES: &str = "\
An age with ≥ is a lower bound: the socket was in the state before tcptrace
started. Where both bounds are known (2s-36s), a socket may be stuck if the
threshold lies between them; such sockets come last. Ctrl-C ends with a summary.
Exit code: 0, 1 when something failed, 2 for a wrong command line, 3 with
--fail-over.";

/// Options of `tcptrace stuck`.
#[derive(Debug, Args)]
pub struct Stuck {
    /// What to show
    #[command(flatten)]
    pub show: ShowStuck,
    /// Look once and exit
    #[arg(long, conflicts_with_all = ["interval", "duration"])]
    once: bool,
    /// Time between looks
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = numbers::interval)]
    interval: Duration,
    /// End after this time
    #[arg(long, value_name = "DURATION", value_parser = numbers::duration)]
    duration: Option<Duration>,
    /// How to attach to the kernel; not with --once, which attaches nothing
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = false)]
    hook: HookChoice,
    /// How to find sockets and the processes that hold them
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = false)]
    walk: WalkChoice,
    /// Track at most this many sockets in the kernel [default: 1000000, or 65536 with the
    /// tracepoint hook]
    #[arg(long, value_name = "N", value_parser = numbers::count(numbers::MAX_SOCKETS))]
    max_sockets: Option<u32>,
    /// Say more: -v how tcptrace works on this machine and the arguments of processes, which may hold
    /// secrets; -vv also messages of its BPF programs
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
}

/// What to show about stuck sockets, live or from a recording.
#[derive(Debug, Args)]
pub struct ShowStuck {
    /// Stuck means: in the state for this long; 0s shows all
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = numbers::duration)]
    older_than: Duration,
    /// The state to watch
    #[arg(long, value_name = "STATE", default_value = "CLOSE_WAIT", value_parser = values::state)]
    state: TcpState,
    /// Write JSON, one line per look (schema tcptrace.stuck/1)
    #[arg(long)]
    json: bool,
    /// Show at most this many sockets [default: what fits on the terminal, 50 elsewhere, all in
    /// JSON]
    #[arg(long, value_name = "N", value_parser = numbers::count(numbers::ANY))]
    limit: Option<u32>,
    /// Show all groups and sockets
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Say why each group is stuck, instead of listing sockets; with evidence, remedy and what would tell
    /// more. =N: only the group with this number in the table. JSON always has all of it
    #[arg(
        long,
        value_name = "N",
        num_args = 0..=1,
        require_equals = true,
        value_parser = numbers::count(numbers::SHOWN)
    )]
    explain: Option<Option<u32>>,
    /// What comes first
    #[arg(
        long,
        value_enum,
        default_value = "sockets",
        hide_possible_values = false
    )]
    sort: Sort,
    /// Exit with 3 if more than N sockets are listed at the last look
    #[arg(long, value_name = "N", value_parser = numbers::count(numbers::ANY))]
    fail_over: Option<u32>,
    /// Show nothing: the exit code tells
    #[arg(short, long, requires = "fail_over", conflicts_with_all = ["json", "limit", "all", "explain"])]
    quiet: bool,
    /// Which sockets
    #[command(flatten)]
    filters: FilterArguments,
}

impl Default for ShowStuck {
    /// The options when none is given.
    fn default() -> Self {
        let command = Self::augment_args(clap::Command::new("stuck"));
        // Every option has a default or is optional; a test checks that.
        let matches = command.try_get_matches_from(["stuck"]);
        let show = matches.and_then(|matches| Self::from_arg_matches(&matches));
        show.unwrap_or_else(|error| error.exit())
    }
}

impl Stuck {
    /// The request.
    pub fn request(self) -> StuckRequest {
        StuckRequest {
            show: self.show.request(),
            once: self.once,
            interval: self.interval,
            duration: self.duration,
            hook: self.hook,
            walk: self.walk,
            max_sockets: self.max_sockets,
            verbose: self.verbose,
        }
    }
}

impl ShowStuck {
    /// The request.
    pub fn request(self) -> StuckShow {
        StuckShow {
            state: self.state,
            older_than: self.older_than,
            filters: self.filters.request(),
            json: self.json,
            limit: self.limit.map(|limit| limit as usize),
            all: self.all,
            sort: self.sort,
            fail_over: self.fail_over.map(|allowed| allowed as usize),
            quiet: self.quiet,
            explain: self.explain.map(|number| match number {
                None => Explain::All,
                Some(number) => Explain::Group(number as usize),
            }),
        }
    }
}
