//! The command line.

use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};
use ipnet::IpNet;
use tcptrace_common::{MAX_PORTS, MAX_REMOTES, TcpState};

use crate::{
    model::{filter::Filter, socket::Family},
    parse,
    source::load::HookChoice,
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
    /// Says what this kernel and these privileges allow, and how to get the rest
    Doctor(Doctor),
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
    /// A socket is stuck when it has been in the state for this long; 0s shows all
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse::duration)]
    pub older_than: Duration,
    /// The state to watch
    #[arg(long, value_name = "STATE", default_value = "CLOSE_WAIT", value_parser = parse::state)]
    pub state: TcpState,
    /// Look once and exit
    #[arg(long, conflicts_with_all = ["interval", "duration"])]
    pub once: bool,
    /// Time between looks
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = parse::interval)]
    pub interval: Duration,
    /// End after this time
    #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
    pub duration: Option<Duration>,
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
