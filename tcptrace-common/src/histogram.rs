use crate::{
    BUCKETS_PER_DECADE, DECADES, Ending, TcpState,
    ending::{OTHER_ENDS, connected_index},
};

/// The key of a histogram: the key of the map `KEYS`. Parts that are not requested
/// ([`HistSettings::by`](crate::HistSettings)) or not known are 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HistKey {
    /// When the owner started, in ns of `CLOCK_BOOTTIME`.
    pub started_ns: u64,
    /// Id of the owner's control group.
    pub cgroup: u64,
    /// The owner's name, NUL-padded.
    pub comm: [u64; 2],
    /// Remote address in network order; an IPv4 address in its v4-mapped form.
    pub remote: [u64; 2],
    /// The owner.
    pub pid: u32,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// The service's port: the remote port of a client, the local port of a server.
    pub port: u16,
    /// `AF_INET` or `AF_INET6`.
    pub family: u16,
    /// 1 when the owner is known.
    pub owner_known: u32,
}

impl HistKey {
    /// The owner's name.
    pub const COMM: u32 = 1;
    /// The owner itself, with its name at that time.
    pub const PID: u32 = 2;
    /// The remote address.
    pub const REMOTE: u32 = 4;
    /// The service's port: the remote port of a client, the local port of a server.
    pub const PORT: u32 = 8;
    /// The owner's control group.
    pub const CGROUP: u32 = 16;
    /// The network namespace.
    pub const NETNS: u32 = 32;
    /// The address family.
    pub const FAMILY: u32 = 64;
    /// The parts that need owners.
    pub const OF_OWNER: u32 = Self::COMM | Self::PID | Self::CGROUP;
}

/// The key of the map `DECADES`: a decade of the histogram of a state.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DecadeKey {
    /// The value in the map `KEYS`.
    pub key: u32,
    /// The [`TcpState`] that was left.
    pub state: u8,
    /// Which decade: see [`Bucket`](crate::Bucket).
    pub decade: u8,
    /// The program that counted.
    pub program: u8,
    /// The number of the [`Ending`].
    pub ending: u8,
}

/// One decade of a histogram, one copy for each CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decade {
    /// Durations in each bucket.
    pub counts: [u64; BUCKETS_PER_DECADE],
    /// The sum of the durations, in ns.
    pub sum_ns: u64,
    /// The longest of them, in ns.
    pub max_ns: u64,
}

impl Default for Decade {
    fn default() -> Self {
        Self {
            counts: [0; BUCKETS_PER_DECADE],
            sum_ns: 0,
            max_ns: 0,
        }
    }
}

/// Programs that count. Each has its own decades: a program never interrupts itself on a CPU, but
/// one may interrupt the other.
pub const COUNTING_PROGRAMS: u32 = 2;

/// Entries of the array `UNKEYED_DECADES`, which counts durations without a key.
pub const UNKEYED_DECADES: u32 = COUNTING_PROGRAMS * UNKEYED_STAYS * DECADES as u32;

/// Numbers of states, with [`Ending::Closed`].
const STATES: u32 = TcpState::ALL.len() as u32 + 1;

/// States and endings of a program in that array: the other endings are those of a few states.
const UNKEYED_STAYS: u32 = STATES + (Ending::ALL.len() as u32 - 1) * OTHER_ENDS;

/// The index of a decade in that array.
#[inline(always)]
#[must_use]
pub const fn unkeyed_index(program: u32, state: u32, ending: Ending, decade: u32) -> u32 {
    let stay = match (ending, connected_index(state)) {
        (Ending::Closed, _) | (_, OTHER_ENDS) => state,
        (ending, index) => STATES + (ending as u32 - 1) * OTHER_ENDS + index,
    };
    (program * UNKEYED_STAYS + stay) * DECADES as u32 + decade
}

// SAFETY: only integers without padding (the sizes are checked below), so every bit pattern is a
// value.
#[cfg(feature = "user")]
unsafe impl aya::Pod for HistKey {}
// SAFETY: as above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for DecadeKey {}
// SAFETY: as above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Decade {}

const _: () = assert!(size_of::<HistKey>() == 64);
const _: () = assert!(size_of::<DecadeKey>() == 8);
const _: () = assert!(size_of::<Decade>() == 28 * 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_stays_share_a_decade() {
        let mut taken = [false; UNKEYED_DECADES as usize];
        for program in 0..COUNTING_PROGRAMS {
            for state in TcpState::ALL.map(|state| u32::from(state.number())) {
                for ending in Ending::ALL {
                    let other = ending != Ending::Closed;
                    if other && !crate::has_other_ends(state) {
                        continue;
                    }
                    for decade in 0..DECADES as u32 {
                        let index = unkeyed_index(program, state, ending, decade) as usize;
                        assert!(!core::mem::replace(&mut taken[index], true));
                    }
                }
            }
        }
    }
}
