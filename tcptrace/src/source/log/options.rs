//! What to load, and how much room its maps need.

use aya::util::nr_cpus;
use tcptrace_common::{
    DECADES, Decade, HistSettings, KernelFilter, TcpState, TrackSettings, UNKEYED_DECADES,
};

use super::super::load::{AcceptChoice, HookChoice};

/// What to load.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// The hook.
    pub hook: HookChoice,
    /// How accepting is learnt.
    pub accept: AcceptChoice,
    /// What the kernel leaves out, by socket.
    pub filter: KernelFilter,
    /// The same by owner and state.
    pub log: TrackSettings,
    /// Durations that are counted instead of telling transitions.
    pub hist: HistSettings,
    /// How many keys they may be counted by.
    pub max_keys: u32,
    /// The only processes that are wanted; none for all.
    pub pids: Vec<u32>,
    /// Whether their descendants are wanted too.
    pub children: bool,
    /// Ids of the wanted control group and of those below it; none for all.
    pub cgroups: Vec<u64>,
    /// Bytes of the ring buffer, a power of 2.
    pub buffer: u32,
    /// How many sockets the table may hold; `None` for as many as is sensible.
    pub max_sockets: Option<u32>,
    /// The state whose sockets are listed at the end.
    pub state: TcpState,
    /// Whether the kernel side sends messages.
    pub messages: bool,
}

/// Keys of which there is room for every decade, in each state.
const WIDE_KEYS: u32 = 64;
/// Decades of the others: most stays of one kind are of similar lengths.
const DECADES_OF_A_KEY: u32 = 4;
/// What decades may take on all CPUs together, in bytes, unless that would be too few.
const DECADES_BYTES: usize = 64 << 20;
const LEAST_DECADES: usize = 4096;

impl LogOptions {
    /// The filter where the kernel cannot tell which groups a control group is in.
    pub(super) fn without_helper(&self) -> TrackSettings {
        if self.hist.states == 0 {
            // The model looks at each record again.
            return TrackSettings {
                cgroup: 0,
                ..self.log
            };
        }
        TrackSettings {
            cgroup_level: TrackSettings::BY_LIST,
            ..self.log
        }
    }

    /// Entries of the maps of histograms.
    pub(super) fn room(&self) -> Vec<(&'static str, u32)> {
        let HistSettings { states, by, .. } = self.hist;
        if states == 0 {
            return Vec::new();
        }
        let mut room = vec![("UNKEYED_DECADES", UNKEYED_DECADES)];
        if by != 0 {
            let wide = self.max_keys.min(WIDE_KEYS);
            let each = wide * DECADES as u32 + (self.max_keys - wide) * DECADES_OF_A_KEY;
            let cpus = nr_cpus().unwrap_or(1).max(1);
            let most = (DECADES_BYTES / cpus / size_of::<Decade>()).max(LEAST_DECADES);
            let most = u32::try_from(most).unwrap_or(u32::MAX);
            let decades = states.count_ones().saturating_mul(each).min(most);
            room.extend([("KEYS", self.max_keys), ("DECADES", decades)]);
        }
        room
    }
}
