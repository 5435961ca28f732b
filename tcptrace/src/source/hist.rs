//! The running machine as a source of durations: most are counted in the kernel, and only what
//! began before the start is told one by one.

use std::{collections::HashMap, io, net::IpAddr};

use aya::maps::{HashMap as BpfHashMap, PerCpuArray, PerCpuHashMap};
use tcptrace_common::{
    AF_INET, AF_INET6, COUNTING_PROGRAMS, DECADES, Decade, DecadeKey, HistKey, TcpState,
    UNKEYED_DECADES, unkeyed_index,
};

use super::{
    ask::Scope,
    log::{LiveLog, LogOptions, name, some},
    watched,
};
use crate::model::{
    durations::{Asked, Durations},
    filter::Filter,
    key::{Described, Key, Part},
    report::Account,
    socket::Family,
    transition::Record,
};

/// Durations that are being counted.
pub struct LiveHist {
    live: LiveLog,
    asked: Asked,
    told: Told,
}

/// What is known beside what the kernel counted.
struct Told {
    /// What was told.
    durations: Durations,
    /// Which of it is wanted.
    filter: Filter,
    /// Durations that found the buffer full.
    lost: u64,
    /// Runs that the kernel skipped.
    skipped: u64,
}

impl Told {
    fn take(&mut self, record: &Record) {
        match record {
            Record::Transition(seen) if self.filter.passes_record(record, &[]) => {
                self.durations.transition(seen);
            }
            Record::Loss(loss) => {
                self.lost += loss.transitions;
                self.skipped += loss.runs;
            }
            _ => {}
        }
    }
}

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

/// The kernel side's bits for all of them.
#[must_use]
pub fn bits(by: &[Part]) -> u32 {
    by.iter().fold(0, |bits, part| bits | part.bit())
}

impl LiveHist {
    /// Attaches the kernel side and finds out what is there already; `filter` is for what is told,
    /// and `notes` gets what could not be found out.
    ///
    /// # Errors
    /// When tracing cannot start.
    pub fn start(
        options: &LogOptions,
        scope: Scope,
        asked: Asked,
        filter: Filter,
        notes: &mut Vec<String>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            live: LiveLog::start(options, scope, notes)?,
            told: Told {
                durations: Durations::new(asked.clone()),
                filter,
                lost: 0,
                skipped: 0,
            },
            asked,
        })
    }

    /// The session that it is part of.
    pub fn session(&mut self) -> &mut LiveLog {
        &mut self.live
    }

    /// Waits until much waits to be read.
    pub async fn much_waits(&self) {
        self.live.much_waits().await;
    }

    /// Takes in what waits to be read.
    ///
    /// # Errors
    /// When the kernel side cannot be read.
    pub fn read(&mut self) -> io::Result<()> {
        let mut each = |record: &Record| {
            self.told.take(record);
            Ok(())
        };
        while self.live.read(&mut each)? {}
        Ok(())
    }

    /// Sees no more.
    ///
    /// # Errors
    /// When the kernel side cannot be read.
    pub fn stop(&mut self) -> io::Result<()> {
        self.live.stop(&mut |record| {
            self.told.take(record);
            Ok(())
        })
    }

    /// All durations until now, and the sockets that are open.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn durations(&mut self) -> io::Result<Durations> {
        self.read()?;
        let mut all = self.told.durations.clone();
        self.add_rest(&mut all)?;
        if !self.asked.by.is_empty() {
            self.add_keyed(&mut all)?;
        }
        // Half-open connections are listed as if they were sockets in that state.
        let half_open = |state: &TcpState| *state == TcpState::SynRecv;
        let states = self.asked.states.iter().copied();
        let states: Vec<_> = states.filter(|state| !half_open(state)).collect();
        for open in self.live.still_open(&states)? {
            if self.told.filter.passes_open(&open) {
                let socket = Described::logged(&open.socket, open.owner.as_ref());
                all.open(open.state, socket, open.since, open.monotonic_ns);
            }
        }
        Ok(all)
    }

    /// How many durations the kernel has counted.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.live.counted().counted
    }

    /// How it went.
    #[must_use]
    pub fn account(&mut self) -> Account {
        let counted = self.live.counted();
        let side = self.live.side();
        Account {
            hook: Some(side.hook()),
            keyless: counted.unkeyed,
            lost: self.told.lost,
            unkept: counted.untracked,
            skipped: side.skipped().map(|_| self.told.skipped),
            unfollowed: counted.unfollowed,
        }
    }

    /// What has no key, or none that found room.
    fn add_rest(&mut self, all: &mut Durations) -> io::Result<()> {
        let map = self
            .live
            .side()
            .map("UNKEYED_DECADES")
            .ok_or(io::ErrorKind::NotFound)?;
        let rest: PerCpuArray<_, Decade> = PerCpuArray::try_from(map).map_err(io::Error::other)?;
        debug_assert_eq!(rest.len(), UNKEYED_DECADES);
        #[allow(clippy::cast_possible_truncation)] // there are fourteen
        let decades = 0..DECADES as u8;
        let places =
            decades.flat_map(|decade| (0..COUNTING_PROGRAMS).map(move |program| (decade, program)));
        for &state in &self.asked.states {
            for (decade, program) in places.clone() {
                let index = unkeyed_index(program, state.number().into(), decade.into());
                for cpu in rest.get(&index, 0).map_err(io::Error::other)?.iter() {
                    if *cpu != Decade::default() {
                        all.counted(state, None, decade, cpu);
                    }
                }
            }
        }
        Ok(())
    }

    fn add_keyed(&mut self, all: &mut Durations) -> io::Result<()> {
        let side = self.live.side();
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
        for (raw, number) in numbers.map_err(io::Error::other)? {
            by_number.insert(number, self.key(&raw));
        }
        for (place, cpus) in decades {
            // A key that came meanwhile: next time.
            let key = by_number.get(&place.key);
            if let (Some(key), Some(state)) = (key, TcpState::from_number(place.state)) {
                for cpu in cpus.iter() {
                    all.counted(state, Some(key), place.decade, cpu);
                }
            }
        }
        Ok(())
    }

    /// As the model has it.
    fn key(&mut self, raw: &HistKey) -> Key {
        let mut key = Key::default();
        let owned = raw.owner_known != 0;
        for part in &self.asked.by {
            match part {
                Part::Comm => key.comm = owned.then(|| name(raw.comm)),
                Part::Pid => {
                    key.comm = owned.then(|| name(raw.comm));
                    key.pid = some(raw.pid);
                    key.started_ns = some(raw.started_ns);
                }
                Part::Remote => key.remote = Some(canonical(raw.remote)),
                Part::Port => key.port = some(raw.port),
                Part::Cgroup => {
                    let path = some(raw.cgroup).and_then(|id| self.live.cgroups().path(id));
                    key.cgroup = path.map(Into::into);
                }
                Part::Netns => key.netns = some(raw.netns),
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
    let end = watched::endpoint(Family::Ipv6, words, 0);
    end.address.to_canonical()
}
