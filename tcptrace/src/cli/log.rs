//! `tcptrace log`.

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args};
use tcptrace_common::TcpState;

use crate::{
    cli::{filters::FilterArguments, values},
    model::request::{AcceptChoice, HookChoice, LogFilters, LogRequest, LogShow, Rotation},
};

/// What the command can be used for.
pub const EXAMPLES: &str = "\
Examples:
  sudo tcptrace log                         every transition on the machine
  sudo tcptrace log --pid 4242 --children   those of a process and of its descendants
  sudo tcptrace log --state CLOSE_WAIT      only into and out of CLOSE_WAIT
  sudo tcptrace log --dir /var/log/tcp      a file for each process, and an index
  sudo tcptrace log --json -o night.jsonl.zst
                                            a recording, for `tcptrace replay`

The process is the one that connected, accepted or listens, whoever's packet came in;
? where that is not known. Ctrl-C ends with what is still open and a summary.";

/// Options of `tcptrace log`.
#[derive(Debug, Args)]
pub struct Log {
    /// Only transitions into or out of this state (several: any of them)
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = values::any_state)]
    state: Vec<TcpState>,
    /// Write JSON, one line a transition (schema tcptrace.transition/1): a recording
    #[arg(long)]
    json: bool,
    /// Write to this file instead of the screen, in place of what is in it; one that ends in .zst is
    /// compressed
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write one file for each process into this folder, and an index; what is there is continued
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    dir: Option<PathBuf>,
    /// Begin a new file when one has reached this size, such as 64MiB
    #[arg(long, value_name = "SIZE", requires = "dir", value_parser = values::size)]
    rotate_size: Option<u64>,
    /// Keep so many old files of each process
    #[arg(long, value_name = "N", default_value_t = 5, requires = "rotate_size")]
    rotate_keep: u32,
    /// End after this time
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    duration: Option<Duration>,
    /// Follow the descendants of the processes named by --pid too
    #[arg(long, requires = "pid")]
    children: bool,
    /// Which sockets
    #[command(flatten)]
    filters: FilterArguments,
    /// How to attach to the kernel
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = false)]
    hook: HookChoice,
    /// How to learn who accepts a connection
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = false)]
    accept: AcceptChoice,
    /// Memory for transitions that are not read yet (a power of 2, 64KiB or more)
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = values::buffer)]
    buffer: u32,
    /// Room for so many sockets in the kernel [default: 1000000, with the tracepoint hook 65536]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    max_sockets: Option<u32>,
    /// Say more: -v how tcptrace works here, -vv also the kernel side's own messages
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
}

impl Log {
    /// What is asked for.
    pub fn request(self) -> LogRequest {
        LogRequest {
            show: LogShow {
                filters: LogFilters {
                    sockets: self.filters.request(),
                    children: self.children,
                    states: self.state,
                },
                json: self.json,
            },
            output: self.output,
            dir: self.dir,
            rotation: self.rotate_size.map(|size| Rotation {
                size,
                keep: self.rotate_keep,
            }),
            duration: self.duration,
            hook: self.hook,
            accept: self.accept,
            buffer: self.buffer,
            max_sockets: self.max_sockets,
            verbose: self.verbose,
        }
    }
}
