//! `tcptrace replay`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tcptrace_common::TcpState;

use crate::{
    cli::{filters::FilterArguments, hist, stuck, values},
    model::request::{LogFilters, LogShow, ReplayRequest, ReplayView},
};

/// What the command can be used for.
pub const EXAMPLES: &str = "\
Examples:
  tcptrace replay leak.jsonl.zst   what was stuck when the recording ended
  tcptrace replay leak.jsonl.zst stuck --explain
  tcptrace replay leak.jsonl.zst log --comm java
  tcptrace replay leak.jsonl.zst hist --by remote
  zcat old.jsonl.gz | tcptrace replay - stuck --json";

/// What else there is to know.
pub const NOTES: &str = "\
It needs no privileges and works on any machine. Options come after the view:
tcptrace replay FILE stuck --help lists them.";

/// Options of `tcptrace replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The recording, as `log --json` wrote it (also .zst); - for standard input
    file: PathBuf,
    /// What to show; the default is `stuck`
    #[command(subcommand)]
    view: Option<ReplayCommand>,
}

/// What to show of a recording.
#[derive(Debug, Subcommand)]
pub enum ReplayCommand {
    /// Shows the sockets that were stuck when the recording ended
    #[command(after_long_help = stuck::NOTES)]
    Stuck(Box<stuck::ShowStuck>),
    /// Shows the recorded transitions
    #[command(after_long_help = NOTES)]
    Log(Box<ShowLog>),
    /// Shows how long sockets stayed in each state
    #[command(after_long_help = hist::NOTES)]
    Hist(Box<hist::ShowHist>),
}

/// Options of `tcptrace replay FILE log`.
#[derive(Debug, Args)]
pub struct ShowLog {
    /// Only transitions into or out of this state (several values: any of them)
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = values::any_state)]
    state: Vec<TcpState>,
    /// Write JSON, one line per transition (schema tcptrace.transition/1)
    #[arg(long)]
    json: bool,
    /// List every socket that was still open at the end
    ///
    /// Without it a terminal shows the oldest; a pipe has all of them.
    #[arg(long, conflicts_with = "json")]
    all: bool,
    /// Which sockets
    #[command(flatten)]
    filters: FilterArguments,
}

impl Replay {
    /// The request.
    pub fn request(self) -> ReplayRequest {
        let view = self
            .view
            .unwrap_or_else(|| ReplayCommand::Stuck(Box::default()));
        ReplayRequest {
            file: self.file,
            view: match view {
                ReplayCommand::Stuck(show) => ReplayView::Stuck(show.request()),
                ReplayCommand::Log(log) => ReplayView::Log(log.request()),
                ReplayCommand::Hist(show) => ReplayView::Hist(show.request()),
            },
        }
    }
}

impl ShowLog {
    fn request(self) -> LogShow {
        LogShow {
            filters: LogFilters {
                sockets: self.filters.request(),
                children: false,
                states: self.state,
            },
            json: self.json,
            all: self.all,
        }
    }
}
