//! What could not be seen, and what makes an answer less than certain, with figures. A view puts it
//! into words.

use tcptrace_common::TcpState;

use crate::model::{
    filter::absent::{Absent, Values},
    request::LogFilters,
};

/// A remark about the reliability of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caveat {
    /// Without these capabilities tcptrace cannot see everything; their names.
    MissingCapabilities(Vec<&'static str>),
    /// tcptrace runs in this user namespace (inode number), where it may not use programs, nor look at
    /// what does not belong to the namespace.
    UserNamespace(u32),
    /// Values of a filter that nothing has: as long as that is so, they match nothing.
    Absent(Absent),
    /// The sockets of this network namespace (inode number) could not be listed.
    UnlistedNamespace {
        /// Its inode number.
        netns: u32,
        /// Why.
        error: String,
    },
    /// Network namespaces that no process leads to and that could not be entered either: of their
    /// sockets those without a descriptor may be missing.
    UnenteredNamespaces {
        /// How many.
        count: u64,
        /// How many sockets with a descriptor they have.
        sockets: u64,
    },
    /// MPTCP connections and listeners of this network namespace that no process has open could not be
    /// listed.
    UnlistedMptcp {
        /// Its inode number.
        netns: u32,
        /// How many it has of both, those of processes included; `None` if the kernel does not say.
        count: Option<u64>,
        /// Why.
        error: String,
    },
    /// tcptrace may not inspect these processes, so a namespace may be missing.
    UnreadableProcesses(Vec<u32>),
    /// tcptrace runs in a PID namespace: what only processes outside of it lead to is not seen, and these
    /// have no number.
    PidNamespace,
    /// No process has a number, for this reason.
    NoProcessNumbers(String),
    /// Nothing here tells who accepts: a connection counts as that of the process that listens.
    AcceptsNotSeen,
    /// How many of the listed sockets no process of the PID namespace has open, so that some process outside
    /// of it must.
    HeldOutside(u64),
    /// Some descriptors could not be read, so holders may be missing.
    UnreadDescriptors,
    /// Descriptors could not be read at all, for this reason.
    UnknownHolders(String),
    /// Sockets that are closed in the network and still open in a process are not looked for: no
    /// table but the walk shows them.
    ResidueNotLookedFor,
    /// Accept queues that could not be read: where connections wait to be accepted, every listener
    /// that may be meant is named. How many.
    UnreadQueues(u64),
    /// So many sockets left the state, and are not among those of which it is known when: there was no room.
    UnreportedExits(u64),
    /// Not every control group can be reached: there is a cgroup namespace, or only a part is mounted.
    UnreachedControlGroups {
        /// Whether paths begin at the machine's root; otherwise at the root of tcptrace's own cgroup
        /// namespace.
        from_machine_root: bool,
        /// The path of the topmost group that can be reached.
        top: String,
        /// How many groups have no path for this reason, if that is known.
        unknown: Option<u64>,
    },
    /// So many control groups were removed, or could not be looked up in time: their paths are not known.
    UnknownControlGroups(u64),
    /// The filter leaves out control groups that are created from now on.
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
    /// Parts of a compressed recording are damaged.
    DamagedFrames {
        /// How many.
        count: u64,
        /// What is wrong with the first one.
        reason: String,
    },
    /// A compressed recording breaks off.
    BrokenOff {
        /// The number of that line.
        line: u64,
        /// Why.
        error: String,
    },
    /// The number of lines of a recording whose kind this version does not know.
    UnknownLines(u64),
    /// What was lost during the recording.
    LostWhileRecorded {
        /// Transitions.
        transitions: u64,
        /// Sockets that did not fit into the table.
        sockets: u64,
        /// Runs of the programs that the kernel skipped.
        runs: u64,
    },
    /// The number of recorded transitions that do not begin in the state in which the previous one
    /// ended.
    Contradictions(u64),
    /// Recorded sockets that entered the state and cannot be distinguished from others.
    Unidentified {
        /// How many.
        count: u64,
        /// The state.
        state: TcpState,
    },
    /// So many sockets are stuck, or may be, that only some are kept.
    OnlyCounted {
        /// How many are counted, and in no group.
        count: u64,
        /// How many are kept.
        kept: u64,
    },
    /// Sockets of a recording for which there was no room in memory: at most so many more were in the state.
    NotKept {
        /// How many.
        count: u64,
        /// The state.
        state: TcpState,
    },
    /// The machine was rebooted during the recording; how often.
    Restarts(u64),
    /// A recording was made with filters.
    RecordedWithFilters {
        /// The filters of its parts, without duplicates; a part may have none.
        filters: Vec<LogFilters>,
        /// Whether the filters of some parts are unknown.
        some_unknown: bool,
    },
    /// In a recording paths of control groups are from the root of a cgroup namespace.
    RelativeControlGroups,
    /// The filters of a recording leave out transitions that show which sockets have left this
    /// state.
    LeavingLeftOut(TcpState),
    /// Records in parts of a recording in which no namespace has the requested name.
    UnnamedNamespace {
        /// How many.
        count: u64,
        /// The requested name.
        name: String,
    },
    /// Every recorded transition is into or out of one state, so transitions of sockets in the
    /// requested state may be missing.
    OnlyTransitionsOf {
        /// The state that all transitions are into or out of.
        only: TcpState,
        /// The requested state.
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
    /// Its name in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::MissingCapabilities(_) => "missing_capabilities",
            Self::UserNamespace(_) => "user_namespace",
            Self::Absent(absent) => match absent.values {
                Values::Processes(_) => "no_such_process",
                Values::Names(_) => "no_such_name",
                Values::Netns(_) => "no_such_namespace",
                Values::Cgroup(_) => "no_such_cgroup",
            },
            Self::UnlistedNamespace { .. } => "unlisted_namespace",
            Self::UnenteredNamespaces { .. } => "unentered_namespaces",
            Self::UnlistedMptcp { .. } => "unlisted_mptcp",
            Self::UnreadableProcesses(_) => "unreadable_processes",
            Self::PidNamespace => "pid_namespace",
            Self::NoProcessNumbers(_) => "no_process_numbers",
            Self::AcceptsNotSeen => "accepts_not_seen",
            Self::HeldOutside(_) => "held_outside",
            Self::UnreadDescriptors => "unread_descriptors",
            Self::UnknownHolders(_) => "unknown_holders",
            Self::ResidueNotLookedFor => "residue_not_looked_for",
            Self::UnreadQueues(_) => "unread_queues",
            Self::UnreportedExits(_) => "unreported_exits",
            Self::UnreachedControlGroups { .. } => "unreached_control_groups",
            Self::UnknownControlGroups(_) => "unknown_control_groups",
            Self::NewControlGroupsLeftOut => "new_control_groups_left_out",
            Self::DamagedLines { .. } => "damaged_lines",
            Self::DamagedFrames { .. } => "damaged_frames",
            Self::BrokenOff { .. } => "broken_off",
            Self::UnknownLines(_) => "unknown_lines",
            Self::LostWhileRecorded { .. } => "lost_while_recorded",
            Self::Contradictions(_) => "contradictions",
            Self::Unidentified { .. } => "unidentified_sockets",
            Self::OnlyCounted { .. } => "only_counted",
            Self::NotKept { .. } => "not_kept",
            Self::Restarts(_) => "restarts",
            Self::RecordedWithFilters { .. } => "recorded_with_filters",
            Self::RelativeControlGroups => "relative_control_groups",
            Self::LeavingLeftOut(_) => "leaving_left_out",
            Self::UnnamedNamespace { .. } => "unnamed_namespace",
            Self::OnlyTransitionsOf { .. } => "only_transitions_of_one_state",
            Self::MayHaveLeft { .. } => "may_have_left",
            Self::MayStillBeOpen { .. } => "may_still_be_open",
        }
    }

    /// How many items it is about; `None` if unknown.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::MissingCapabilities(names) => Some(names.len() as u64),
            Self::UnlistedMptcp { count, .. } => *count,
            Self::UnreachedControlGroups { unknown, .. } => *unknown,
            Self::UnreadableProcesses(pids) => Some(pids.len() as u64),
            Self::Absent(absent) => Some(absent.count() as u64),
            Self::UnlistedNamespace { .. } => Some(1),
            Self::DamagedLines { count, .. }
            | Self::DamagedFrames { count, .. }
            | Self::UnenteredNamespaces { count, .. }
            | Self::UnreadQueues(count)
            | Self::HeldOutside(count)
            | Self::UnreportedExits(count)
            | Self::UnknownControlGroups(count)
            | Self::UnknownLines(count)
            | Self::Contradictions(count)
            | Self::Unidentified { count, .. }
            | Self::NotKept { count, .. }
            | Self::OnlyCounted { count, .. }
            | Self::Restarts(count)
            | Self::UnnamedNamespace { count, .. }
            | Self::MayHaveLeft { count, .. }
            | Self::MayStillBeOpen { count, .. } => Some(*count),
            Self::LostWhileRecorded {
                transitions,
                sockets,
                runs,
            } => Some(transitions.saturating_add(*sockets).saturating_add(*runs)),
            Self::UserNamespace(_)
            | Self::PidNamespace
            | Self::NoProcessNumbers(_)
            | Self::AcceptsNotSeen
            | Self::UnreadDescriptors
            | Self::UnknownHolders(_)
            | Self::ResidueNotLookedFor
            | Self::NewControlGroupsLeftOut
            | Self::BrokenOff { .. }
            | Self::RecordedWithFilters { .. }
            | Self::RelativeControlGroups
            | Self::LeavingLeftOut(_)
            | Self::OnlyTransitionsOf { .. } => None,
        }
    }
}
