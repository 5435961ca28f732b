//! What could not be seen, and what makes an answer less than certain, with its figures. A view puts
//! it into words.

use tcptrace_common::TcpState;

use crate::model::request::LogFilters;

/// Something to know beside an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caveat {
    /// Without these capabilities some of the machine is not seen; their names.
    MissingCapabilities(Vec<&'static str>),
    /// There is no process with this number now.
    NoSuchProcess(u32),
    /// The sockets of this network namespace (inode number) could not be listed.
    UnlistedNamespace {
        /// Its inode number.
        netns: u32,
        /// Why.
        error: String,
    },
    /// These processes may not be looked into, so that a namespace may be missing.
    UnreadableProcesses(Vec<u32>),
    /// Some descriptors could not be read, so that holders may be missing.
    UnreadDescriptors,
    /// Descriptors could not be read at all, for this reason.
    UnknownHolders(String),
    /// Control groups that are made from now on are left out by the filter.
    NewControlGroupsLeftOut,
    /// Lines of a recording that could not be read.
    DamagedLines {
        /// How many.
        count: u64,
        /// The numbers of the first of them.
        first: Vec<u64>,
        /// What is wrong with the first one.
        reason: String,
    },
    /// A compressed recording breaks off.
    BrokenOff {
        /// The number of the line in which it does.
        line: u64,
        /// Why.
        error: String,
    },
    /// Lines of a recording of kinds that this version does not know; how many.
    UnknownLines(u64),
    /// What was lost while it was recorded.
    LostWhileRecorded {
        /// Transitions.
        transitions: u64,
        /// Sockets that found the table full.
        sockets: u64,
        /// Runs of the programs that the kernel skipped.
        runs: u64,
    },
    /// Recorded transitions that do not begin where the one before ended; how many.
    Contradictions(u64),
    /// Recorded sockets that entered the state and that nothing tells from others.
    Unidentified {
        /// How many.
        count: u64,
        /// The state.
        state: TcpState,
    },
    /// The machine was started anew while it was recorded; how often.
    Restarts(u64),
    /// A recording was made with filters.
    RecordedWithFilters {
        /// Those of its parts, each once; a part may have none.
        filters: Vec<LogFilters>,
        /// Whether there are parts of which nothing tells.
        some_unknown: bool,
    },
    /// The filters of a recording leave out which sockets have left this state.
    LeavingLeftOut(TcpState),
    /// Records of parts of a recording in which the namespace that is asked about has no name.
    UnnamedNamespace {
        /// How many.
        count: u64,
        /// The name that is asked about.
        name: String,
    },
    /// Every recorded transition has to do with the one state, so that what happened to sockets in
    /// the other may be missing.
    OnlyTransitionsOf {
        /// The state that all have to do with.
        only: TcpState,
        /// The state that is asked about.
        asked: TcpState,
    },
    /// Sockets that were in the state and may have left it unseen.
    MayHaveLeft {
        /// How many.
        count: u64,
        /// The state.
        state: TcpState,
    },
    /// Sockets that may still have been in the state when the recording ended.
    MayStillBeOpen {
        /// How many.
        count: u64,
        /// The state.
        state: TcpState,
    },
}

impl Caveat {
    /// What it is called on the outside.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::MissingCapabilities(_) => "missing_capabilities",
            Self::NoSuchProcess(_) => "no_such_process",
            Self::UnlistedNamespace { .. } => "unlisted_namespace",
            Self::UnreadableProcesses(_) => "unreadable_processes",
            Self::UnreadDescriptors => "unread_descriptors",
            Self::UnknownHolders(_) => "unknown_holders",
            Self::NewControlGroupsLeftOut => "new_control_groups_left_out",
            Self::DamagedLines { .. } => "damaged_lines",
            Self::BrokenOff { .. } => "broken_off",
            Self::UnknownLines(_) => "unknown_lines",
            Self::LostWhileRecorded { .. } => "lost_while_recorded",
            Self::Contradictions(_) => "contradictions",
            Self::Unidentified { .. } => "unidentified_sockets",
            Self::Restarts(_) => "restarts",
            Self::RecordedWithFilters { .. } => "recorded_with_filters",
            Self::LeavingLeftOut(_) => "leaving_left_out",
            Self::UnnamedNamespace { .. } => "unnamed_namespace",
            Self::OnlyTransitionsOf { .. } => "only_transitions_of_one_state",
            Self::MayHaveLeft { .. } => "may_have_left",
            Self::MayStillBeOpen { .. } => "may_still_be_open",
        }
    }

    /// Of how many it speaks; `None` where that is not known.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::MissingCapabilities(names) => Some(names.len() as u64),
            Self::UnreadableProcesses(pids) => Some(pids.len() as u64),
            Self::NoSuchProcess(_) | Self::UnlistedNamespace { .. } => Some(1),
            Self::DamagedLines { count, .. }
            | Self::UnknownLines(count)
            | Self::Contradictions(count)
            | Self::Unidentified { count, .. }
            | Self::Restarts(count)
            | Self::UnnamedNamespace { count, .. }
            | Self::MayHaveLeft { count, .. }
            | Self::MayStillBeOpen { count, .. } => Some(*count),
            Self::LostWhileRecorded {
                transitions,
                sockets,
                runs,
            } => Some(transitions.saturating_add(*sockets).saturating_add(*runs)),
            Self::UnreadDescriptors
            | Self::UnknownHolders(_)
            | Self::NewControlGroupsLeftOut
            | Self::BrokenOff { .. }
            | Self::RecordedWithFilters { .. }
            | Self::LeavingLeftOut(_)
            | Self::OnlyTransitionsOf { .. } => None,
        }
    }
}
