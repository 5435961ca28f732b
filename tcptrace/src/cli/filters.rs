//! Filters, the same for every command.

use clap::Args;
use ipnet::IpNet;

use crate::{
    cli::values,
    model::{
        request::{self, Netns},
        socket::Family,
    },
};

/// Filters, the same for every command; several values of one mean "any of".
#[derive(Debug, Args)]
pub struct FilterArguments {
    /// Sockets that this process has open; also those that wait for it to accept them
    #[arg(long, value_name = "PID", value_delimiter = ',', value_parser = values::pid)]
    pid: Vec<u32>,
    /// Sockets of processes with this name
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = values::comm)]
    comm: Vec<String>,
    /// Local or remote port
    #[arg(long, value_name = "PORT", value_delimiter = ',', value_parser = values::port)]
    port: Vec<u16>,
    /// Remote address or range (CIDR); IPv4 also matches v4-mapped IPv6 addresses
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = values::remote)]
    remote: Vec<IpNet>,
    /// Network namespace: inode number, name in /run/netns, or path
    #[arg(long, value_name = "NETNS", value_parser = values::namespace)]
    netns: Option<Netns>,
    /// Control group and the groups below it: a path from /sys/fs/cgroup, or as in /proc/PID/cgroup
    #[arg(long, value_name = "PATH", value_parser = values::cgroup)]
    cgroup: Option<String>,
    /// Address family: ipv4 or ipv6
    #[arg(long, value_name = "FAMILY", value_parser = values::family)]
    family: Option<Family>,
}

impl FilterArguments {
    /// The filters of the request.
    pub fn request(self) -> request::Filters {
        request::Filters {
            pids: self.pid,
            comms: self.comm,
            ports: self.port,
            remotes: self.remote,
            netns: self.netns,
            cgroup: self.cgroup,
            family: self.family,
        }
    }
}
