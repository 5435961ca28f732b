//! `tcptrace hist`.

use std::time::Duration;

use clap::{ArgAction, Args};
use tcptrace_common::TcpState;

use crate::{
    cli::{filters::FilterArguments, values},
    model::{
        hist::{durations::Selection, key::Part},
        request::{AcceptChoice, HistRequest, HistShow, HookChoice},
    },
};

/// What the command can be used for.
pub const EXAMPLES: &str = "\
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

/// Options of `tcptrace hist`.
#[derive(Debug, Args)]
pub struct Hist {
    /// What to show
    #[command(flatten)]
    show: ShowHist,
    /// Print the histograms of each such time, and at the end those of all of it
    #[arg(long, value_name = "DURATION", value_parser = values::interval)]
    interval: Option<Duration>,
    /// End after this time
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    duration: Option<Duration>,
    /// Follow the descendants of the processes named by --pid too
    #[arg(long, requires = "pid")]
    children: bool,
    /// How to attach to the kernel
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = false)]
    hook: HookChoice,
    /// How to learn who accepts a connection
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = false)]
    accept: AcceptChoice,
    /// Room for so many sockets in the kernel [default: 1000000, with the tracepoint hook 65536]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    max_sockets: Option<u32>,
    /// Say more: -v how tcptrace works here, -vv also the kernel side's own messages
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
}

/// What to show of durations, live or of a recording.
#[derive(Debug, Args)]
pub struct ShowHist {
    /// The states in which to count
    #[arg(long, value_name = "STATE", value_delimiter = ',', default_value = "CLOSE_WAIT",
          value_parser = values::counted_state)]
    state: Vec<TcpState>,
    /// Count in every state
    #[arg(long, conflicts_with = "state")]
    all_states: bool,
    /// Split by this (several: by all of them together)
    #[arg(long, value_name = "PART", value_delimiter = ',', value_enum)]
    by: Vec<Part>,
    /// Show so many of each state at most, those with the most time in it [default: 10, all in JSON]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    top: Option<u32>,
    /// Keep so many apart at most; what comes later counts as "other"
    #[arg(long, value_name = "N", default_value_t = 512,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_keys: u32,
    /// Let quantiles and the longest also count what has not ended, as if it did now
    #[arg(long)]
    include_open: bool,
    /// Write JSON, one line a report (schema tcptrace.hist/1)
    #[arg(long)]
    json: bool,
    /// Draw with plain ASCII
    #[arg(long, conflicts_with = "json")]
    ascii: bool,
    /// Which sockets
    #[command(flatten)]
    filters: FilterArguments,
}

impl Hist {
    /// What is asked for.
    pub fn request(self) -> HistRequest {
        HistRequest {
            show: self.show.request(),
            children: self.children,
            interval: self.interval,
            duration: self.duration,
            hook: self.hook,
            accept: self.accept,
            max_sockets: self.max_sockets,
            verbose: self.verbose,
        }
    }
}

impl ShowHist {
    /// What is asked for.
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
            ascii: self.ascii,
        }
    }
}
