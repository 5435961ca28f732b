//! `tcptrace states`.

use std::time::Duration;

use clap::{ArgAction, Args};

use crate::{
    cli::{filters::FilterArguments, numbers},
    model::{
        request::{StatesRequest, WalkChoice},
        states::report::By,
    },
};

/// What the command can be used for.
pub const EXAMPLES: &str = "\
Examples:
  sudo tcptrace states             sockets by state, refreshed every 2 s
  sudo tcptrace states --once      one look
  sudo tcptrace states --by comm   by program
  sudo tcptrace states --by container,port
  sudo tcptrace states --comm java --by remote --top 5
  sudo tcptrace states --once --json | jq '.states[0].count'";

/// What else there is to know.
pub const NOTES: &str = "\
All network namespaces count. What is no socket any more (TIME_WAIT, remainders
in FIN_WAIT2) or not yet (half-open) has no process. The rows with the most
sockets in CLOSE_WAIT and FIN_WAIT2 come first: sockets do not leave these by
themselves. Three or more processes of one name with the same connections are
one row, with their number: postgres (31).";

/// Options of `tcptrace states`.
#[derive(Debug, Args)]
pub struct States {
    /// Count by this (several values: by their combination) [default: by process and connection]
    #[arg(long, value_name = "PART", value_delimiter = ',', value_enum)]
    by: Vec<By>,
    /// Show at most this many rows, the worst [default: what fits on the terminal, 50 elsewhere, all in
    /// JSON]
    #[arg(long, value_name = "N", value_parser = numbers::count(numbers::SHOWN))]
    top: Option<u32>,
    /// Look once and exit
    #[arg(long, conflicts_with_all = ["interval", "duration"])]
    once: bool,
    /// Time between looks
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = numbers::interval)]
    interval: Duration,
    /// End after this time
    #[arg(long, value_name = "DURATION", value_parser = numbers::duration)]
    duration: Option<Duration>,
    /// Write JSON, one line per look (schema tcptrace.states/1)
    #[arg(long)]
    json: bool,
    /// How to find sockets and the processes that hold them
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = false)]
    walk: WalkChoice,
    /// Show how tcptrace works on this machine
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
    /// Which sockets
    #[command(flatten)]
    filters: FilterArguments,
}

impl States {
    /// The request.
    pub fn request(self) -> StatesRequest {
        let mut by = self.by;
        by.sort_unstable();
        by.dedup();
        StatesRequest {
            by,
            filters: self.filters.request(),
            top: self.top.map(|top| top as usize),
            json: self.json,
            once: self.once,
            interval: self.interval,
            duration: self.duration,
            walk: self.walk,
            verbose: self.verbose,
        }
    }
}
