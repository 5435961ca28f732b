//! Which sockets are asked about, and the part of it that the kernel applies.

use clap::Args;
use ipnet::IpNet;
use tcptrace_common::{MAX_COMMS, MAX_PORTS, MAX_REMOTES, TrackSettings};

use crate::{
    cli::values,
    model::{filter::Filter, socket::Family},
    source::machine::cgroup,
    view::parts::clean::clean,
};

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
    #[arg(long, value_name = "PORT", value_delimiter = ',', value_parser = values::port)]
    pub port: Vec<u16>,
    /// Remote address or range (CIDR); IPv4 ones include v4-mapped addresses
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = values::remote)]
    pub remote: Vec<IpNet>,
    /// Network namespace: inode number, name in /run/netns, or path
    #[arg(long, value_name = "NETNS", value_parser = values::namespace)]
    pub netns: Option<u32>,
    /// Control group and those below it, as a path from /sys/fs/cgroup
    #[arg(long, value_name = "PATH", value_parser = values::cgroup)]
    pub cgroup: Option<String>,
    /// Address family: ipv4 or ipv6
    #[arg(long, value_name = "FAMILY", value_parser = values::family)]
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
    pub fn kernel(&self) -> tcptrace_common::KernelFilter {
        let mut filter = tcptrace_common::KernelFilter {
            netns: self.netns.unwrap_or(0),
            family: self.family.map_or(0, |family| match family {
                Family::Ipv4 => tcptrace_common::AF_INET.into(),
                Family::Ipv6 => tcptrace_common::AF_INET6.into(),
            }),
            ..tcptrace_common::KernelFilter::default()
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

    /// What of the filters the kernel applies beside [`Filters::kernel`] where it knows owners.
    #[must_use]
    pub fn kernel_by_owner(&self) -> TrackSettings {
        let mut settings = TrackSettings::default();
        let comms = &self.comm;
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
        let group = self.cgroup.as_deref();
        if let Some((id, level)) = group.and_then(cgroup::id_and_level) {
            (settings.cgroup, settings.cgroup_level) = (id, level);
        }
        settings
    }

    /// Why the kernel cannot apply all of it, where nobody else can.
    ///
    /// # Errors
    /// Names what it cannot.
    pub fn fits_kernel(&self) -> Result<(), String> {
        let most = |option: &str, count: usize, most: usize| match count > most {
            true => Err(format!(
                "--{option} takes {most} values at the most here, not {count}: durations are \
                 counted in the kernel"
            )),
            false => Ok(()),
        };
        most("port", self.port.len(), MAX_PORTS)?;
        most("remote", self.remote.len(), MAX_REMOTES)?;
        most("comm", self.comm.len(), MAX_COMMS)?;
        if let Some(long) = self.comm.iter().find(|comm| comm.len() >= COMM_BYTES) {
            return Err(format!(
                "--comm {}: the kernel keeps 15 bytes of a process's name; give those",
                clean(long)
            ));
        }
        match self.cgroup.as_deref() {
            Some(path) if cgroup::id_and_level(path).is_none() => Err(format!(
                "--cgroup {}: there is no such control group (cgroup v2)",
                clean(path)
            )),
            _ => Ok(()),
        }
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
