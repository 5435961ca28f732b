//! The part of a filter that the kernel side applies, in the form in which it takes it.

use std::fs;

use ipnet::IpNet;
use tcptrace_common::{
    ADDRESS_BYTES, AF_INET, AF_INET6, KernelFilter, MAX_COMMS, MAX_PORTS, MAX_REMOTES, Prefix,
    TcpState, TrackSettings,
};

use crate::{
    model::{filter::Filter, socket::Family},
    source::machine::cgroup,
};

/// Bytes of a process's name with the NUL that ends it (`TASK_COMM_LEN`).
const COMM_BYTES: usize = 16;

/// What the kernel applies by socket. The model alone applies a list that is too long for the
/// kernel.
#[must_use]
pub fn by_socket(filter: &Filter) -> KernelFilter {
    let mut kernel = KernelFilter {
        netns: filter.netns.unwrap_or(0),
        family: filter.family.map_or(0, |family| match family {
            Family::Ipv4 => AF_INET.into(),
            Family::Ipv6 => AF_INET6.into(),
        }),
        ..KernelFilter::default()
    };
    let ports = &filter.ports;
    if ports.len() <= MAX_PORTS {
        #[allow(clippy::cast_possible_truncation)] // compared just above
        let count = ports.len() as u32;
        kernel.port_count = count;
        kernel.ports[..ports.len()].copy_from_slice(ports);
    }
    let remotes = &filter.remotes;
    if remotes.len() <= MAX_REMOTES {
        #[allow(clippy::cast_possible_truncation)] // compared just above
        let count = remotes.len() as u32;
        kernel.remote_count = count;
        for (slot, range) in kernel.remotes.iter_mut().zip(remotes) {
            *slot = prefix(range);
        }
    }
    kernel
}

/// Whether [`by_socket`] is the whole filter.
#[must_use]
pub fn is_by_socket(filter: &Filter) -> bool {
    let Filter {
        pids,
        comms,
        ports,
        remotes,
        netns: _,
        cgroup,
        family: _,
    } = filter;
    pids.is_empty()
        && comms.is_empty()
        && cgroup.is_none()
        && ports.len() <= MAX_PORTS
        && remotes.len() <= MAX_REMOTES
}

/// What it applies beside [`by_socket`] where it knows owners: filters by owner, and the states
/// whose transitions it reports (none for all).
#[must_use]
pub fn by_owner(filter: &Filter, states: &[TcpState]) -> TrackSettings {
    let mut settings = TrackSettings {
        states: mask(states),
        ..TrackSettings::default()
    };
    let comms = &filter.comms;
    if comms.len() <= MAX_COMMS && comms.iter().all(|comm| is_comparable(comm)) {
        #[allow(clippy::cast_possible_truncation)] // compared just above
        let count = comms.len() as u32;
        settings.comm_count = count;
        for (slot, comm) in settings.comms.iter_mut().zip(comms) {
            *slot = padded(comm.as_bytes());
        }
    }
    let group = filter.cgroup.as_deref();
    if let Some((id, level)) = group.and_then(cgroup::id_and_level) {
        (settings.cgroup, settings.cgroup_level) = (id, level);
    }
    settings
}

/// The name that this process runs under, as the kernel keeps it; zeros if it cannot be read.
#[must_use]
pub fn own_comm() -> [u64; 2] {
    let comm = fs::read("/proc/self/comm").unwrap_or_default();
    let comm = comm.strip_suffix(b"\n").unwrap_or(&comm);
    padded(&comm[..comm.len().min(COMM_BYTES - 1)])
}

/// A name of less than [`COMM_BYTES`].
fn padded(comm: &[u8]) -> [u64; 2] {
    let mut bytes = [0; COMM_BYTES];
    bytes[..comm.len()].copy_from_slice(comm);
    words(bytes)
}

/// A bit for each state.
#[must_use]
pub fn mask(states: &[TcpState]) -> u32 {
    let bits = states.iter().map(|state| 1 << state.number());
    bits.fold(0, |mask, bit: u32| mask | bit)
}

/// Checks that the kernel can apply all of the filter, for commands in which only the kernel can. That the
/// control group exists is checked elsewhere.
///
/// # Errors
/// Names the part that it cannot apply: not yet fit for a terminal.
pub fn fits(filter: &Filter) -> Result<(), String> {
    let most = |option: &str, count: usize, most: usize| match count > most {
        true => Err(format!(
            "--{option} takes at most {most} values here, not {count}: the kernel applies this \
             filter"
        )),
        false => Ok(()),
    };
    most("port", filter.ports.len(), MAX_PORTS)?;
    most("remote", filter.remotes.len(), MAX_REMOTES)?;
    most("comm", filter.comms.len(), MAX_COMMS)?;
    if let Some(name) = filter.comms.iter().find(|comm| !is_comparable(comm)) {
        return Err(format!(
            "--comm {name}: the kernel applies this filter, and does not know which bytes '\u{fffd}' \
             stands for (--by comm shows them)"
        ));
    }
    Ok(())
}

/// Whether the kernel can compare the name with its own: it keeps bytes, and what is not UTF-8 among them
/// is shown, and given, as the replacement character.
fn is_comparable(comm: &str) -> bool {
    comm.len() < COMM_BYTES && !comm.contains('\u{fffd}')
}

/// The range in the common form, as the kernel side has it in memory.
fn prefix(range: &IpNet) -> Prefix {
    let (address, bits) = match range {
        IpNet::V4(v4) => (v4.network().to_ipv6_mapped(), 96 + v4.prefix_len()),
        IpNet::V6(v6) => (v6.network(), v6.prefix_len()),
    };
    let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
    Prefix {
        address: words(address.octets()),
        mask: words(mask.to_be_bytes()),
    }
}

fn words(bytes: [u8; ADDRESS_BYTES]) -> [u64; 2] {
    let mut words = [0; 2];
    for (word, half) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        let mut eight = [0; 8];
        eight.copy_from_slice(half);
        *word = u64::from_ne_bytes(eight);
    }
    words
}
