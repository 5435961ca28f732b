//! `tcptrace hist`.

use std::time::Duration;

use clap::{ArgAction, Args};
use tcptrace_common::TcpState;

use crate::{
    cli::{filters::FilterArguments, numbers, values},
    model::{
        hist::{durations::Selection, key::Part},
        request::{AcceptChoice, HistRequest, HistShow, HookChoice, WalkChoice},
    },
};

/// What the command can be used for.
pub const EXAMPLES: &str = "\
Examples:
  sudo tcptrace hist               how long in CLOSE_WAIT, until Ctrl-C
  sudo tcptrace hist --by comm     the same for each program
  sudo tcptrace hist --by pid,remote --top 3 --duration 1min
  sudo tcptrace hist --all-states --port 443
  sudo tcptrace hist --state ESTABLISHED --by remote --interval 10s
  sudo tcptrace hist --duration 10s --json | jq '.histograms[0].quantiles'";

/// What else there is to know.
pub const NOTES: &str = "\
On a terminal there is a report every 10 s, unless --interval asks for others.
Sockets that are still in the state are shown as \"so far\": a leak never ends.
The histogram with the most total time in the state comes first. The kernel
counts durations in buckets that are at most 12.5 % wide, so a quantile is
within 6.25 % of the true value.";

/// Options of `tcptrace hist`.
#[derive(Debug, Args)]
pub struct Hist {
    /// What to show
    #[command(flatten)]
    show: ShowHist,
    /// Time between histograms; at the end there are also those of the whole session
    #[arg(long, value_name = "DURATION", value_parser = numbers::interval)]
    interval: Option<Duration>,
    /// End after this time
    #[arg(long, value_name = "DURATION", value_parser = numbers::duration)]
    duration: Option<Duration>,
    /// Also follow the descendants of the processes given by --pid
    #[arg(long, requires = "pid")]
    children: bool,
    /// How to attach to the kernel
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = false)]
    hook: HookChoice,
    /// How to find sockets from before the start, and the processes that hold them
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = false)]
    walk: WalkChoice,
    /// How to find out which process accepts a connection
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = false)]
    accept: AcceptChoice,
    /// Track at most this many sockets in the kernel [default: 1000000, or 65536 with the
    /// tracepoint hook]
    #[arg(long, value_name = "N", value_parser = numbers::count(numbers::MAX_SOCKETS))]
    max_sockets: Option<u32>,
    /// Show more: -v how tcptrace works on this machine, -vv also messages of its BPF programs
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
}

/// What to show about durations, live or from a recording.
#[derive(Debug, Args)]
pub struct ShowHist {
    /// The states to measure
    #[arg(long, value_name = "STATE", value_delimiter = ',', default_value = "CLOSE_WAIT",
          value_parser = values::counted_state)]
    state: Vec<TcpState>,
    /// Measure every state
    #[arg(long, conflicts_with = "state")]
    all_states: bool,
    /// Split the histograms by this (several values: by their combination)
    #[arg(long, value_name = "PART", value_delimiter = ',', value_enum)]
    by: Vec<Part>,
    /// Show at most this many histograms per state; those with the most total time [default: 10, all in
    /// JSON]
    #[arg(long, value_name = "N", value_parser = numbers::count(numbers::SHOWN))]
    top: Option<u32>,
    /// Keep at most this many separate histograms; what does not fit counts as "other"
    #[arg(long, value_name = "N", default_value_t = 512,
          value_parser = numbers::count(1..=100_000))]
    max_keys: u32,
    /// Include durations that have not ended in quantiles and maximum, as if they ended now
    #[arg(long)]
    include_open: bool,
    /// Write JSON, one line per report (schema tcptrace.hist/1)
    #[arg(long)]
    json: bool,
    /// Which sockets
    #[command(flatten)]
    filters: FilterArguments,
}

impl Hist {
    /// The request.
    pub fn request(self) -> HistRequest {
        HistRequest {
            show: self.show.request(),
            children: self.children,
            interval: self.interval,
            duration: self.duration,
            hook: self.hook,
            walk: self.walk,
            accept: self.accept,
            max_sockets: self.max_sockets,
            verbose: self.verbose,
        }
    }
}

impl ShowHist {
    /// The request.
    pub fn request(self) -> HistShow {
        let wanted = |state: &TcpState| self.all_states || self.state.contains(state);
        let states = values::COUNTED.into_iter().filter(wanted).collect();
        let mut by = self.by;
        by.sort_unstable();
        by.dedup();
        HistShow {
            selection: Selection {
                states,
                by,
                max_keys: self.max_keys as usize,
            },
            filters: self.filters.request(),
            include_open: self.include_open,
            top: self.top.map(|top| top as usize),
            json: self.json,
        }
    }
}
