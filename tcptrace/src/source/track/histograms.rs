//! Durations that the kernel counts: its maps, in the model's types.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::IpAddr,
};

use aya::maps::{HashMap as BpfHashMap, PerCpuArray, PerCpuHashMap};
use tcptrace_common::{
    AF_INET, AF_INET6, COUNTING_PROGRAMS, DECADES, Decade, DecadeKey, Ending, HistKey, TcpState,
    UNKEYED_DECADES, has_other_ends, unkeyed_index,
};

use crate::{
    model::{
        hist::key::{Key, Part},
        socket::Family,
        track::Count,
    },
    source::{
        bpf::socket,
        track::{
            processes::{decode_comm, nonzero},
            session::LiveTransitions,
        },
    },
};

impl Part {
    /// The kernel side's bit for it.
    fn bit(self) -> u32 {
        match self {
            Self::Comm => HistKey::COMM,
            Self::Pid => HistKey::PID,
            Self::Remote => HistKey::REMOTE,
            Self::Port => HistKey::PORT,
            Self::Cgroup => HistKey::CGROUP,
            Self::Netns => HistKey::NETNS,
            Self::Family => HistKey::FAMILY,
        }
    }
}

/// The kernel side's bits for all parts.
#[must_use]
pub fn bits(by: &[Part]) -> u32 {
    by.iter().fold(0, |bits, part| bits | part.bit())
}

impl LiveTransitions {
    /// Gives the kernel's counts for these states, by these parts, to `each`.
    ///
    /// # Errors
    /// When a map cannot be read.
    pub fn counts(
        &mut self,
        states: &[TcpState],
        by: &[Part],
        each: &mut dyn FnMut(&Count),
    ) -> io::Result<()> {
        self.unkeyed_counts(states, each)?;
        if by.is_empty() {
            return Ok(());
        }
        self.keyed_counts(by, each)
    }

    /// Durations without a key, and those whose key found no room.
    fn unkeyed_counts(
        &mut self,
        states: &[TcpState],
        each: &mut dyn FnMut(&Count),
    ) -> io::Result<()> {
        let map = self
            .side()
            .map("UNKEYED_DECADES")
            .ok_or(io::ErrorKind::NotFound)?;
        let rest: PerCpuArray<_, Decade> = PerCpuArray::try_from(map).map_err(io::Error::other)?;
        debug_assert_eq!(rest.len(), UNKEYED_DECADES);
        #[allow(clippy::cast_possible_truncation)] // there are fourteen
        let decades = 0..DECADES as u8;
        let places =
            decades.flat_map(|number| (0..COUNTING_PROGRAMS).map(move |program| (number, program)));
        let stays = states.iter().flat_map(|&state| {
            let number = state.number().into();
            let endings = Ending::ALL.into_iter();
            let possible =
                endings.filter(move |end| *end == Ending::Closed || has_other_ends(number));
            possible.map(move |ending| (state, ending))
        });
        for (state, ending) in stays {
            for (number, program) in places.clone() {
                let index = unkeyed_index(program, state.number().into(), ending, number.into());
                for cpu in rest.get(&index, 0).map_err(io::Error::other)?.iter() {
                    if *cpu != Decade::default() {
                        each(&Count {
                            state,
                            ending,
                            key: None,
                            number,
                            decade: *cpu,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    fn keyed_counts(&mut self, by: &[Part], each: &mut dyn FnMut(&Count)) -> io::Result<()> {
        let side = self.side();
        let (keys, decades) = (side.map("KEYS"), side.map("DECADES"));
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let keys = keys.ok_or_else(missing)?;
        let keys: BpfHashMap<_, HistKey, u32> =
            BpfHashMap::try_from(keys).map_err(io::Error::other)?;
        let decades = decades.ok_or_else(missing)?;
        let decades: PerCpuHashMap<_, DecadeKey, Decade> =
            PerCpuHashMap::try_from(decades).map_err(io::Error::other)?;
        let numbers = keys.iter().collect::<Result<Vec<_>, _>>();
        let decades = decades.iter().collect::<Result<Vec<_>, _>>();
        let decades = decades.map_err(io::Error::other)?;
        let mut by_number = HashMap::new();
        let (wanted, mut unnamed) = (by.contains(&Part::Cgroup), HashSet::new());
        for (raw, number) in numbers.map_err(io::Error::other)? {
            if wanted && raw.cgroup != 0 && self.cgroups().path(raw.cgroup).is_none() {
                unnamed.insert(raw.cgroup);
            }
            by_number.insert(number, self.key(&raw, by));
        }
        self.unnamed_keys = unnamed.len() as u64;
        for (place, cpus) in decades {
            // A key that was added in the meantime: it is read next time.
            let key = by_number.get(&place.key);
            if let (Some(key), Some(state)) = (key, TcpState::from_number(place.state)) {
                for cpu in cpus.iter() {
                    each(&Count {
                        state,
                        ending: Ending::from_number(place.ending),
                        key: Some(key.clone()),
                        number: place.decade,
                        decade: *cpu,
                    });
                }
            }
        }
        Ok(())
    }

    /// The decade in the model's type.
    fn key(&mut self, raw: &HistKey, by: &[Part]) -> Key {
        let mut key = Key::default();
        let owned = raw.owner_known != 0;
        for part in by {
            match part {
                Part::Comm => key.comm = owned.then(|| decode_comm(raw.comm)),
                Part::Pid => {
                    key.comm = owned.then(|| decode_comm(raw.comm));
                    key.pid = nonzero(raw.pid);
                    key.started_ns = nonzero(raw.started_ns);
                }
                Part::Remote => key.remote = Some(canonical(raw.remote)),
                Part::Port => key.port = nonzero(raw.port),
                Part::Cgroup => {
                    let path = nonzero(raw.cgroup).and_then(|id| self.cgroups().path(id));
                    key.cgroup = path;
                }
                Part::Netns => key.netns = nonzero(raw.netns),
                Part::Family => {
                    key.family = match raw.family {
                        AF_INET => Some(Family::Ipv4),
                        AF_INET6 => Some(Family::Ipv6),
                        _ => None,
                    }
                }
            }
        }
        key
    }
}

fn canonical(words: [u64; 2]) -> IpAddr {
    let end = socket::endpoint(Family::Ipv6, words, 0);
    end.address.to_canonical()
}
