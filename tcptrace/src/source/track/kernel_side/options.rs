//! What to track, how much memory it takes, and the configurations that fit.

use aya::util::nr_cpus;
use tcptrace_common::{
    DECADES, Decade, HistSettings, KernelFilter, TcpState, TrackSettings, UNKEYED_DECADES,
};

use crate::{
    model::request::{AcceptChoice, HookChoice, WalkChoice},
    source::bpf::attach::{Accept, Candidate, hooks, modern_first},
};

/// What to track.
#[derive(Debug, Clone)]
pub struct TrackOptions {
    /// The hook.
    pub hook: HookChoice,
    /// How accepts are detected.
    pub accept: AcceptChoice,
    /// How sockets from before and their holders are found.
    pub walk: WalkChoice,
    /// The kernel's filter by socket.
    pub filter: KernelFilter,
    /// The kernel's filter by owner and state.
    pub owner_filter: TrackSettings,
    /// Durations that are counted instead of reporting transitions.
    pub hist: HistSettings,
    /// How many keys they may be counted by.
    pub max_keys: u32,
    /// The only processes that are wanted; none for all.
    pub pids: Vec<u32>,
    /// Whether their descendants are wanted too.
    pub children: bool,
    /// Ids of the wanted control group and of those below it; none for all.
    pub cgroups: Vec<u64>,
    /// Whether anybody needs the paths of control groups.
    pub name_cgroups: bool,
    /// Bytes of the ring buffer, a power of 2.
    pub buffer: u32,
    /// How many sockets the table may hold; `None` for the default.
    pub max_sockets: Option<u32>,
    /// The state whose sockets are listed at the end.
    pub state: TcpState,
    /// Whether the kernel side sends messages.
    pub messages: bool,
}

/// The number of keys with room for every decade, in each state.
const WIDE_KEYS: u32 = 64;
/// Decades for each of the other keys: most durations of one key have similar lengths.
const DECADES_OF_A_KEY: u32 = 4;
/// The memory that decades may take on all CPUs together, in bytes, unless that is too little.
const DECADES_BYTES: usize = 64 << 20;
const LEAST_DECADES: usize = 4096;

impl TrackOptions {
    /// Whether owners matter.
    #[must_use]
    pub fn wants_owners(&self) -> bool {
        self.hist.without_owners == 0
    }

    /// The states whose sockets are listed at the end.
    #[must_use]
    pub fn listed_states(&self) -> Vec<TcpState> {
        let counted = |state: TcpState| self.hist.states & 1 << state.number() != 0;
        let states = TcpState::ALL.into_iter();
        states
            .filter(|state| *state == self.state || counted(*state))
            .collect()
    }

    /// The configurations to try, in order; `has_types`: whether there is type information.
    #[must_use]
    pub fn candidates(&self, has_types: bool) -> Vec<Candidate> {
        let TrackSettings {
            cgroup,
            cgroup_level,
            ..
        } = self.owner_filter;
        let cgroup_helper: &[bool] = match (cgroup, cgroup_level) {
            (0, _) => &[true],
            // The helper needs the depth.
            (_, TrackSettings::BY_LIST) => &[false],
            _ => &[true, false],
        };
        let mut candidates = Vec::new();
        for hook in hooks(self.hook, has_types) {
            for &cgroup_helper in cgroup_helper {
                for &modern in modern_first(hook) {
                    candidates.extend(self.accept_ways().iter().map(|&accept| Candidate {
                        hook,
                        modern,
                        cgroup_helper,
                        accept,
                    }));
                }
            }
        }
        candidates
    }

    /// The ways to detect accepts, the best first.
    fn accept_ways(&self) -> &'static [Accept] {
        match self.accept {
            // Owners do not matter, so accepts do not either.
            _ if !self.wants_owners() => &[Accept::Listener],
            AcceptChoice::Auto => &[Accept::Fexit, Accept::Syscall, Accept::Listener],
            AcceptChoice::Fexit => &[Accept::Fexit],
            AcceptChoice::Syscall => &[Accept::Syscall],
            AcceptChoice::Listener => &[Accept::Listener],
        }
    }

    /// The filter for a kernel that cannot look up the ancestors of a control group.
    pub fn without_helper(&self) -> TrackSettings {
        if self.hist.states == 0 {
            // The model filters each record again.
            return TrackSettings {
                cgroup: 0,
                ..self.owner_filter
            };
        }
        TrackSettings {
            cgroup_level: TrackSettings::BY_LIST,
            ..self.owner_filter
        }
    }

    /// Entries of the maps of histograms.
    pub fn histogram_sizes(&self) -> Vec<(&'static str, u32)> {
        let HistSettings { states, by, .. } = self.hist;
        if states == 0 {
            return Vec::new();
        }
        let mut sizes = vec![("UNKEYED_DECADES", UNKEYED_DECADES)];
        if by != 0 {
            let wide = self.max_keys.min(WIDE_KEYS);
            let each = wide * DECADES as u32 + (self.max_keys - wide) * DECADES_OF_A_KEY;
            let cpus = nr_cpus().unwrap_or(1).max(1);
            let most = (DECADES_BYTES / cpus / size_of::<Decade>()).max(LEAST_DECADES);
            let most = u32::try_from(most).unwrap_or(u32::MAX);
            let decades = states.count_ones().saturating_mul(each).min(most);
            sizes.extend([("KEYS", self.max_keys), ("DECADES", decades)]);
        }
        sizes
    }
}

#[cfg(test)]
mod tests {
    use tcptrace_common::{HistSettings, KernelFilter, TcpState, TrackSettings};

    use super::TrackOptions;
    use crate::{
        model::{
            request::{AcceptChoice, HookChoice, WalkChoice},
            stuck::look::Hook::{self, Btf, Tracepoint},
        },
        source::bpf::attach::Accept::{self, Fexit, Listener, Syscall},
    };

    const WAYS: [Accept; 3] = [Fexit, Syscall, Listener];

    fn options(hook: HookChoice, accept: AcceptChoice) -> TrackOptions {
        TrackOptions {
            walk: WalkChoice::Auto,
            hook,
            accept,
            filter: KernelFilter::default(),
            owner_filter: TrackSettings::default(),
            hist: HistSettings::default(),
            max_keys: 0,
            pids: Vec::new(),
            children: false,
            cgroups: Vec::new(),
            name_cgroups: false,
            buffer: 65_536,
            max_sockets: None,
            state: TcpState::CloseWait,
            messages: false,
        }
    }

    /// Hook, modern, helper for control groups, and how accepts are detected.
    fn tried(options: &TrackOptions, has_types: bool) -> Vec<(Hook, bool, bool, Accept)> {
        let candidates = options.candidates(has_types).into_iter();
        candidates
            .map(|it| (it.hook, it.modern, it.cgroup_helper, it.accept))
            .collect()
    }

    /// Each program for transitions with each way to detect accepts.
    fn each(programs: &[(Hook, bool, bool)], ways: &[Accept]) -> Vec<(Hook, bool, bool, Accept)> {
        let with =
            |&(hook, modern, helper)| ways.iter().map(move |way| (hook, modern, helper, *way));
        programs.iter().flat_map(with).collect()
    }

    #[test]
    fn the_cheaper_hook_the_newer_kernel_and_the_better_way_to_accept_come_first() {
        let all = [
            (Btf, true, true),
            (Btf, false, true),
            (Tracepoint, false, true),
        ];
        let of = |hook| options(hook, AcceptChoice::Auto);
        assert_eq!(tried(&of(HookChoice::Auto), true), each(&all, &WAYS));
        assert_eq!(tried(&of(HookChoice::Btf), true), each(&all[..2], &WAYS));
        assert_eq!(
            tried(&of(HookChoice::Tracepoint), true),
            each(&all[2..], &WAYS)
        );
    }

    #[test]
    fn without_type_information_only_the_tracepoint_is_left() {
        let tracepoint = each(&[(Tracepoint, false, true)], &WAYS);
        let of = |hook| options(hook, AcceptChoice::Auto);
        assert_eq!(tried(&of(HookChoice::Auto), false), tracepoint);
        assert_eq!(tried(&of(HookChoice::Tracepoint), false), tracepoint);
        assert_eq!(tried(&of(HookChoice::Btf), false), []);
    }

    #[test]
    fn a_control_group_is_looked_for_by_the_helper_first() {
        let all = [
            (Btf, true, true),
            (Btf, false, true),
            (Btf, true, false),
            (Btf, false, false),
            (Tracepoint, false, true),
            (Tracepoint, false, false),
        ];
        let of = |hook| {
            let mut options = options(hook, AcceptChoice::Auto);
            options.owner_filter.cgroup = 4242;
            options
        };
        assert_eq!(tried(&of(HookChoice::Auto), true), each(&all, &WAYS));
        assert_eq!(tried(&of(HookChoice::Btf), true), each(&all[..4], &WAYS));
        assert_eq!(
            tried(&of(HookChoice::Tracepoint), true),
            each(&all[4..], &WAYS)
        );
        assert_eq!(tried(&of(HookChoice::Auto), false), each(&all[4..], &WAYS));
    }

    #[test]
    fn a_control_group_of_unknown_depth_is_looked_for_in_a_list() {
        let all = [
            (Btf, true, false),
            (Btf, false, false),
            (Tracepoint, false, false),
        ];
        let mut options = options(HookChoice::Auto, AcceptChoice::Auto);
        options.owner_filter.cgroup = 4242;
        options.owner_filter.cgroup_level = TrackSettings::BY_LIST;
        assert_eq!(tried(&options, true), each(&all, &WAYS));
    }

    #[test]
    fn the_one_way_to_accept_that_is_asked_for_is_tried_with_everything() {
        let all = [
            (Btf, true, true),
            (Btf, false, true),
            (Tracepoint, false, true),
        ];
        for (choice, way) in [
            (AcceptChoice::Fexit, Fexit),
            (AcceptChoice::Syscall, Syscall),
            (AcceptChoice::Listener, Listener),
        ] {
            let options = options(HookChoice::Auto, choice);
            assert_eq!(tried(&options, true), each(&all, &[way]));
            assert_eq!(tried(&options, false), each(&all[2..], &[way]));
        }
    }

    #[test]
    fn without_owners_accepting_is_not_learnt() {
        let mut options = options(HookChoice::Tracepoint, AcceptChoice::Fexit);
        options.hist.without_owners = 1;
        let tracepoint = [(Tracepoint, false, true, Listener)];
        assert_eq!(tried(&options, true), tracepoint);
    }

    #[test]
    fn without_the_helper_a_log_filters_later_and_histograms_by_list() {
        let mut options = options(HookChoice::Auto, AcceptChoice::Auto);
        (
            options.owner_filter.cgroup,
            options.owner_filter.cgroup_level,
        ) = (4242, 3);
        assert_eq!(options.without_helper().cgroup, 0);
        options.hist.states = 1;
        let listed = options.without_helper();
        let by_list = (4242, TrackSettings::BY_LIST);
        assert_eq!((listed.cgroup, listed.cgroup_level), by_list);
    }
}
