//! Views of numbers by state.

mod below;
mod json;
mod rows;
mod text;
#[cfg(test)]
mod text_tests;

use crate::{
    model::states::report::Report,
    view::{Format, View},
};

/// The options of a view of numbers by state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatesOptions {
    /// The format.
    pub format: Format,
    /// The maximum number of groups; `None` for the default.
    pub top: Option<usize>,
    /// The filters as words, not yet fit for a terminal; empty without any.
    pub filters: String,
    /// Whether it is redrawn in place, so that all of it must fit on the screen.
    pub live: bool,
}

/// The view for these options.
#[must_use]
pub fn choose(options: StatesOptions) -> Box<dyn View<Report>> {
    match options.format {
        Format::Text => Box::new(text::Text::new(options.top, &options.filters, options.live)),
        Format::Json => Box::new(json::Json::new(options.top)),
    }
}

#[cfg(test)]
pub(crate) fn fixture() -> Report {
    use std::time::{Duration, UNIX_EPOCH};

    use tcptrace_common::TcpState;

    use crate::model::{
        caveat::Caveat,
        socket::Role,
        states::{
            counts::Counts,
            member::{Holders, Kind, Member, NoSocket},
            remotes::Remotes,
            report::{Group, Key, Service},
        },
    };

    let of = |numbers: &[(Kind, u64)], residue| {
        let mut counts = Counts::default();
        for (kind, count) in numbers {
            counts.add(&Member {
                kind: *kind,
                count: *count,
                residue: false,
                netns: 1,
                family: None,
                local: None,
                remote: None,
                role: Role::Unknown,
                holders: Holders::default(),
                cgroup: None,
                other_cgroups: Vec::new(),
                queued: 0,
            });
        }
        counts.residue = residue;
        counts
    };
    let socket = Kind::Socket;
    let key = |pid, comm: &str, server, remote: Option<&str>, port| Key {
        comm: Some(comm.into()),
        pid: Some(pid),
        server: Some(server),
        remote: remote.map(|text| text.parse().expect("an address")),
        port: Some(port),
        ..Key::default()
    };
    let (close_wait, established) = (socket(TcpState::CloseWait), socket(TcpState::Established));
    let groups = [
        (
            key(4242, "java\x1b[2J", false, Some("10.0.0.7"), 8080),
            of(&[(close_wait, 100), (established, 31)], 0),
        ),
        (
            key(4300, "python3", false, Some("::1"), 443),
            of(&[(socket(TcpState::Close), 50)], 50),
        ),
        (
            key(900, "postgres", true, None, 5432),
            of(&[(established, 788), (socket(TcpState::Listen), 1)], 0),
        ),
        (
            Key::default(),
            of(
                &[
                    (Kind::NoSocket(NoSocket::TimeWait), 400),
                    (Kind::NoSocket(NoSocket::FinWait2Remainder), 12),
                ],
                0,
            ),
        ),
    ];
    let mut all = Counts::default();
    for (_, counts) in &groups {
        all.add_all(counts);
    }
    let mut before = all;
    before.add_all(&of(&[(established, 3)], 0));
    Report {
        time: UNIX_EPOCH + Duration::from_secs(1_764_170_178),
        monotonic_ns: 5_000_000_000,
        by: Vec::new(),
        all,
        before: Some(before),
        groups: groups
            .into_iter()
            .map(|(key, counts)| Group {
                key,
                counts,
                before: Some(counts),
                remotes: Remotes::None,
            })
            .collect(),
        processes: 3,
        services: vec![
            Service {
                port: 80,
                comms: Vec::new(),
                queued: 2,
            },
            Service {
                port: 5432,
                comms: vec!["postgres".into()],
                queued: 0,
            },
        ],
        caveats: vec![Caveat::UnreadQueues(1)],
    }
}
