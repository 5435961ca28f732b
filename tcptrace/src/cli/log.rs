//! `tcptrace log`.

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args};
use tcptrace_common::TcpState;

use crate::{
    cli::{filters::FilterArguments, numbers, values},
    model::request::{
        AcceptChoice, HookChoice, LogFilters, LogRequest, LogShow, Rotation, WalkChoice,
    },
};

/// What the command can be used for.
pub const EXAMPLES: &str = "\
Examples:
  sudo tcptrace log                        every transition on the machine
  sudo tcptrace log --pid 4242 --children  of a process and its descendants
  sudo tcptrace log --state CLOSE_WAIT     only into and out of CLOSE_WAIT
  sudo tcptrace log --dir /var/log/tcp     a file for each process, and an index
  sudo tcptrace log --json -o leak.jsonl.zst
                                           a recording, for tcptrace replay";

/// What else there is to know.
pub const NOTES: &str = "\
A line names the process that connected, accepted or listens, not the one that
was running when a packet came in; ? means unknown. Ctrl-C ends the log with the
sockets that are still open and a summary.";

/// Options of `tcptrace log`.
#[derive(Debug, Args)]
pub struct Log {
    /// Only transitions into or out of this state (several values: any of them)
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = values::any_state)]
    state: Vec<TcpState>,
    /// Write JSON, one line per transition (schema tcptrace.transition/1): a recording
    #[arg(long)]
    json: bool,
    /// List every socket that is still open at the end
    ///
    /// Without it a terminal shows the oldest; files and pipes have all of them.
    #[arg(long, conflicts_with_all = ["json", "output", "dir"])]
    all: bool,
    /// Write to this file instead of the screen; its content is overwritten, and compressed if the name
    /// ends in .zst
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write one file per process and an index into this folder; existing files are continued
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    dir: Option<PathBuf>,
    /// Begin a new file when a file has reached this size, such as 64MiB
    #[arg(long, value_name = "SIZE", requires = "dir", value_parser = numbers::size)]
    rotate_size: Option<u64>,
    /// Number of old files to keep per process
    #[arg(long, value_name = "N", default_value_t = 5, requires = "rotate_size",
          value_parser = numbers::count(0..=10_000))]
    rotate_keep: u32,
    /// How many files of processes there may be in the folder: further processes share one, as do those
    /// that run only shortly
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "dir",
          value_parser = numbers::count(1..=100_000))]
    max_files: u32,
    /// End after this time
    #[arg(long, value_name = "DURATION", value_parser = numbers::duration)]
    duration: Option<Duration>,
    /// Also follow the descendants of the processes given by --pid
    #[arg(long, requires = "pid")]
    children: bool,
    /// Which sockets
    #[command(flatten)]
    filters: FilterArguments,
    /// How to attach to the kernel
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = false)]
    hook: HookChoice,
    /// How to find sockets from before the start, and the processes that hold them
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = false)]
    walk: WalkChoice,
    /// How to find out which process accepts a connection
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = false)]
    accept: AcceptChoice,
    /// Size of the kernel's buffer for transitions (a power of 2, 64KiB or more)
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = numbers::buffer)]
    buffer: u32,
    /// Track at most this many sockets in the kernel [default: 1000000, or 65536 with the
    /// tracepoint hook]
    #[arg(long, value_name = "N", value_parser = numbers::count(numbers::MAX_SOCKETS))]
    max_sockets: Option<u32>,
    /// Show more: -v how tcptrace works on this machine, -vv also messages of its BPF programs
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
}

impl Log {
    /// The request.
    pub fn request(self) -> LogRequest {
        LogRequest {
            show: LogShow {
                filters: LogFilters {
                    sockets: self.filters.request(),
                    children: self.children,
                    states: self.state,
                },
                json: self.json,
                all: self.all,
            },
            output: self.output,
            dir: self.dir,
            rotation: self.rotate_size.map(|size| Rotation {
                size,
                keep: self.rotate_keep,
            }),
            max_files: self.max_files as usize,
            duration: self.duration,
            hook: self.hook,
            walk: self.walk,
            accept: self.accept,
            buffer: self.buffer,
            max_sockets: self.max_sockets,
            verbose: self.verbose,
        }
    }
}
