//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args, FromArgMatches as _, Parser, Subcommand};
use ipnet::IpNet;
use tcptrace_common::{LogSettings, MAX_COMMS, MAX_PORTS, MAX_REMOTES, TcpState};

use crate::{
    model::{filter::Filter, socket::Family},
    parse,
    source::{
        cgroup,
        load::{AcceptChoice, HookChoice},
    },
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

const REPLAY_EXAMPLES: &str = "\
Examples:
  tcptrace replay night.jsonl.zst           what was stuck when the recording ended
  tcptrace replay night.jsonl log --comm java
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
    /// Shows a recording (a log in JSON) as `stuck` or `log` would have
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(Box<Replay>),
    /// Says what this kernel and these privileges allow, and how to get the rest
    Doctor(Doctor),
}

/// Options of `tcptrace log`.
#[derive(Debug, Args)]
pub struct Log {
    /// Only transitions into or out of this state (several: any of them)
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = parse::any_state)]
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
    #[arg(long, value_name = "SIZE", requires = "dir", value_parser = parse::size)]
    pub rotate_size: Option<u64>,
    /// Keep so many old files of each process
    #[arg(long, value_name = "N", default_value_t = 5, requires = "rotate_size")]
    pub rotate_keep: u32,
    /// End after this time
    #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
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
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = parse::buffer)]
    pub buffer: u64,
    /// Room for so many sockets in the kernel [default: 1000000, with the tracepoint hook 65536]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub max_sockets: Option<u32>,
    /// Say more: -v how tcptrace works here, -vv also the kernel side's own messages
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
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
}

/// Options of `tcptrace replay FILE log`.
#[derive(Debug, Args)]
pub struct ReplayLog {
    /// Only transitions into or out of this state (several: any of them)
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = parse::any_state)]
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
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = parse::interval)]
    pub interval: Duration,
    /// End after this time
    #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
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
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse::duration)]
    pub older_than: Duration,
    /// The state to watch
    #[arg(long, value_name = "STATE", default_value = "CLOSE_WAIT", value_parser = parse::state)]
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

/// Filters, the same on every command; several values of one mean "any of".
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters (several values of one mean any of them)")]
pub struct Filters {
    /// Sockets that this process has open, or has waiting to be accepted
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// The same by the process's name
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub comm: Vec<String>,
    /// Local or remote port
    #[arg(long, value_name = "PORT", value_delimiter = ',', value_parser = parse::port)]
    pub port: Vec<u16>,
    /// Remote address or range (CIDR); IPv4 ones include v4-mapped addresses
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = parse::remote)]
    pub remote: Vec<IpNet>,
    /// Network namespace: inode number, name in /run/netns, or path
    #[arg(long, value_name = "NETNS", value_parser = parse::namespace)]
    pub netns: Option<u32>,
    /// Control group and those below it, as a path from /sys/fs/cgroup
    #[arg(long, value_name = "PATH", value_parser = parse::cgroup)]
    pub cgroup: Option<String>,
    /// Address family: ipv4 or ipv6
    #[arg(long, value_name = "FAMILY", value_parser = parse::family)]
    pub family: Option<Family>,
}

impl Filters {
    /// The filter that the model applies.
    #[must_use]
    pub fn model(&self) -> Filter {
        Filter {
            pids: self.pid.clone(),
            comms: self.comm.clone(),
            ports: self.port.clone(),
            remotes: self.remote.clone(),
            netns: self.netns,
            cgroup: self.cgroup.clone(),
            family: self.family,
        }
    }

    /// The part of it that the kernel applies. A list that is too long for the kernel is left to
    /// the model alone.
    #[must_use]
    pub fn kernel(&self) -> tcptrace_common::Filter {
        let mut filter = tcptrace_common::Filter {
            netns: self.netns.unwrap_or(0),
            family: self.family.map_or(0, |family| match family {
                Family::Ipv4 => tcptrace_common::AF_INET.into(),
                Family::Ipv6 => tcptrace_common::AF_INET6.into(),
            }),
            ..tcptrace_common::Filter::default()
        };
        if self.port.len() <= MAX_PORTS {
            #[allow(clippy::cast_possible_truncation)] // just compared
            let count = self.port.len() as u32;
            filter.port_count = count;
            filter.ports[..self.port.len()].copy_from_slice(&self.port);
        }
        if self.remote.len() <= MAX_REMOTES {
            #[allow(clippy::cast_possible_truncation)] // just compared
            let count = self.remote.len() as u32;
            filter.remote_count = count;
            for (slot, range) in filter.remotes.iter_mut().zip(&self.remote) {
                *slot = prefix(range);
            }
        }
        filter
    }
}

impl Log {
    /// What of the filters the kernel applies beside [`Filters::kernel`].
    #[must_use]
    pub fn kernel_log(&self) -> LogSettings {
        let mut settings = LogSettings {
            states: self
                .state
                .iter()
                .fold(0, |mask, state| mask | 1 << state.number()),
            ..LogSettings::default()
        };
        let comms = &self.filters.comm;
        if comms.len() <= MAX_COMMS && comms.iter().all(|comm| comm.len() < COMM_BYTES) {
            #[allow(clippy::cast_possible_truncation)] // just compared
            let count = comms.len() as u32;
            settings.comm_count = count;
            for (slot, comm) in settings.comms.iter_mut().zip(comms) {
                let mut bytes = [0; COMM_BYTES];
                bytes[..comm.len()].copy_from_slice(comm.as_bytes());
                *slot = words(bytes);
            }
        }
        if let Some((id, level)) = self
            .filters
            .cgroup
            .as_deref()
            .and_then(cgroup::id_and_level)
        {
            (settings.cgroup, settings.cgroup_level) = (id, level);
        }
        settings
    }
}

/// Bytes of a process's name with the NUL that ends it (`TASK_COMM_LEN`).
const COMM_BYTES: usize = 16;

/// The range in the common form, as it lies in memory.
fn prefix(range: &IpNet) -> tcptrace_common::Prefix {
    let (address, bits) = match range {
        IpNet::V4(v4) => (v4.network().to_ipv6_mapped(), 96 + v4.prefix_len()),
        IpNet::V6(v6) => (v6.network(), v6.prefix_len()),
    };
    let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
    tcptrace_common::Prefix {
        address: words(address.octets()),
        mask: words(mask.to_be_bytes()),
    }
}

fn words(bytes: [u8; tcptrace_common::ADDRESS_BYTES]) -> [u64; 2] {
    let mut words = [0; 2];
    for (word, half) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        let mut eight = [0; 8];
        eight.copy_from_slice(half);
        *word = u64::from_ne_bytes(eight);
    }
    words
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
