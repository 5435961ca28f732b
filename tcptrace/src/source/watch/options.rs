//! What to watch, and the configurations that fit.

use tcptrace_common::{KernelFilter, TcpState};

use crate::{
    model::request::HookChoice,
    source::bpf::attach::{Accept, Candidate, hooks, modern_first},
};

/// What to watch.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// The state to watch.
    pub state: TcpState,
    /// The hook.
    pub hook: HookChoice,
    /// The kernel's filter.
    pub filter: KernelFilter,
    /// Whether that is the whole filter.
    pub filters_all: bool,
    /// How many sockets the map may hold; `None` for the default.
    pub max_sockets: Option<u32>,
    /// Whether the kernel side sends messages.
    pub messages: bool,
}

impl WatchOptions {
    /// The configurations to try, in order; `has_types`: whether there is type information.
    #[must_use]
    pub fn candidates(&self, has_types: bool) -> Vec<Candidate> {
        let of_hook = |hook| {
            modern_first(hook).iter().map(move |&modern| Candidate {
                hook,
                modern,
                cgroup_helper: false,
                accept: Accept::Listener,
            })
        };
        let hooks = hooks(self.hook, has_types).into_iter();
        hooks.flat_map(of_hook).collect()
    }
}

#[cfg(test)]
mod tests {
    use tcptrace_common::{KernelFilter, TcpState};

    use super::WatchOptions;
    use crate::model::{
        request::HookChoice,
        stuck::look::Hook::{self, Btf, Tracepoint},
    };

    fn tried(hook: HookChoice, has_types: bool) -> Vec<(Hook, bool)> {
        let options = WatchOptions {
            state: TcpState::CloseWait,
            hook,
            filter: KernelFilter::default(),
            filters_all: true,
            max_sockets: None,
            messages: false,
        };
        let candidates = options.candidates(has_types).into_iter();
        candidates
            .map(|candidate| (candidate.hook, candidate.modern))
            .collect()
    }

    #[test]
    fn the_cheaper_hook_is_tried_first_and_the_newer_kernel() {
        let all = [(Btf, true), (Btf, false), (Tracepoint, false)];
        assert_eq!(tried(HookChoice::Auto, true), all);
        assert_eq!(tried(HookChoice::Btf, true), all[..2]);
        assert_eq!(tried(HookChoice::Tracepoint, true), all[2..]);
    }

    #[test]
    fn without_type_information_only_the_tracepoint_is_left() {
        let tracepoint = [(Tracepoint, false)];
        assert_eq!(tried(HookChoice::Auto, false), tracepoint);
        assert_eq!(tried(HookChoice::Tracepoint, false), tracepoint);
        assert_eq!(tried(HookChoice::Btf, false), []);
    }
}
