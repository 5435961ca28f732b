//! Every view of every kind of text that somebody else chooses, with names that a terminal would act on, or
//! that it would not show.

use std::{path::Path, sync::Arc, time::Duration};

use crate::{
    diagnosis::hist,
    fixtures::{NETNS, busy_look, call_holders, recorded, snapshot},
    model::{
        caveat::Caveat,
        filter::absent::{Absent, Values, Whole},
        finding::Finding,
        hist::{
            durations::{Durations, Selection},
            key::Part,
            report::{Account, Extent, Span},
        },
        owner::{Listener, Owner, Process},
        recording::{NamedNetns, RecordingHeader},
        request::{Explain, Filters, LogFilters, Netns},
        socket::Socket,
        states::report::By,
        stuck::{session::SessionSummary, snapshot::Snapshot},
        transition::{Record, StateDuration, StillOpen},
    },
    view::{
        Format, Page, View, doctor,
        hist::fixtures::MS,
        log::{self, Medium},
        parts::{
            caveat,
            clean::{clean, is_hostile, message, path},
        },
        states, stuck,
    },
};

/// Two terminal commands, and one of each kind of characters that are not shown or that reorder others.
const NAMES: [&str; 40] = [
    "\u{1b}[2J",
    "\u{1b}]0;x\u{7}",
    "a\nb",
    "a\rb",
    "a\tb",
    "a\u{0}b",
    "a\u{8}b",
    "a\u{7f}b",
    "a\u{80}b",
    "a\u{85}b",
    "a\u{9b}2Jb",
    "a\u{9d}0;b",
    "a\u{ad}b",
    "a\u{34f}b",
    "a\u{61c}b",
    "a\u{115f}b",
    "a\u{17b4}b",
    "a\u{180e}b",
    "a\u{200b}b",
    "a\u{200c}b",
    "a\u{200d}b",
    "a\u{200e}b",
    "a\u{200f}b",
    "a\u{2028}b",
    "a\u{2029}b",
    "a\u{202a}b",
    "a\u{202e}b",
    "a\u{2060}b",
    "a\u{2064}b",
    "a\u{2066}b",
    "a\u{2069}b",
    "a\u{206f}b",
    "a\u{3164}b",
    "a\u{fe0f}b",
    "a\u{feff}b",
    "a\u{fff9}b",
    "a\u{fffb}b",
    "a\u{1d173}b",
    "a\u{e0041}b",
    "a\u{e01ef}b",
];

const FILE: Medium = Medium::File { colour: true };
const SCREEN: Medium = Medium::Screen {
    colour: true,
    all: true,
};

/// What a view shows for a name.
type Show = fn(&str) -> String;

fn shown<T: ?Sized>(mut view: Box<dyn View<T>>, item: &T) -> String {
    let mut out = Vec::new();
    out.extend(view.heading().unwrap_or_default().bytes());
    view.show(item, &Page::UNLIMITED, &mut out);
    let narrow = Page {
        width: Some(80),
        height: Some(24),
        ascii: false,
    };
    for page in [
        narrow,
        Page {
            ascii: true,
            ..narrow
        },
    ] {
        view.show(item, &page, &mut out);
        view.end(&page, &mut out);
    }
    let warnings = view
        .warnings(item)
        .iter()
        .map(|warning| clean(warning))
        .collect::<String>();
    String::from_utf8(out).expect("views write UTF-8") + &warnings
}

/// Every caveat that quotes something.
fn caveats(name: &str) -> Vec<Caveat> {
    let error = || name.to_owned();
    let absent = |values| {
        Caveat::Absent(Absent {
            values,
            whole: Whole::Machine,
        })
    };
    vec![
        absent(Values::Names(vec![error()])),
        absent(Values::Cgroup(error())),
        Caveat::UnlistedNamespace {
            netns: 1,
            error: error(),
        },
        Caveat::UnlistedMptcp {
            netns: 1,
            count: None,
            error: error(),
        },
        Caveat::NoProcessNumbers(error()),
        Caveat::UnknownHolders(error()),
        Caveat::UnreachedControlGroups {
            from_machine_root: true,
            top: error(),
            unknown: None,
        },
        Caveat::DamagedLines {
            count: 1,
            first: vec![1],
            reason: error(),
        },
        Caveat::BrokenOff {
            line: 1,
            error: error(),
        },
        Caveat::RecordedWithFilters {
            filters: vec![log_filters(name)],
            some_unknown: false,
        },
        Caveat::UnnamedNamespace {
            count: 1,
            name: error(),
        },
    ]
}

fn filters(name: &str) -> Filters {
    Filters {
        comms: vec![name.into()],
        netns: Some(Netns::Name(name.into())),
        cgroup: Some(group(name).to_string()),
        ..Filters::default()
    }
}

fn log_filters(name: &str) -> LogFilters {
    LogFilters {
        sockets: filters(name),
        ..LogFilters::default()
    }
}

fn group(name: &str) -> Arc<str> {
    format!("/{name}.slice/{name}.service").into()
}

fn owner(name: &str) -> Owner {
    Owner {
        process: Process::named((4242, name)),
        cgroup: Some(group(name)),
        ..log::fixtures::owner(4242, name)
    }
}

fn stuck_at(name: &str) -> Snapshot {
    let mut look = busy_look();
    call_holders(&mut look, name);
    for process in look.processes.values_mut() {
        process.arguments = vec!["java".into(), "-jar".into(), format!("run-{name}.jar")];
        process.cgroup = Some(group(name));
    }
    look.netns_names.insert(NETNS, name.to_owned());
    look.cgroups.insert(5, group(name).to_string());
    for listed in &mut look.listed {
        listed.details.cgroup_id = Some(5);
    }
    look.caveats = caveats(name);
    let mut snapshot = snapshot(look);
    snapshot.watched.filters = filters(name);
    let diagnosis = stuck::fixtures::everything(&snapshot);
    for group in &mut snapshot.groups {
        group.diagnosis = Some(Box::new(diagnosis.clone()));
    }
    stuck::fixtures::add_residue(&mut snapshot, name);
    snapshot
}

fn stuck_as(format: Format, arguments: bool, explain: Option<Explain>, name: &str) -> String {
    let options = stuck::StuckOptions {
        format,
        limit: None,
        all: true,
        arguments,
        explain,
    };
    let view = || stuck::choose(options);
    let mut recorded = recorded();
    recorded.caveats = caveats(name);
    recorded.watched.filters = filters(name);
    for socket in &mut recorded.sockets {
        socket.opener = Some(owner(name));
        socket.user = Some(owner(name));
    }
    let mut nothing = recorded.clone();
    (nothing.sockets, nothing.groups, nothing.stuck) = (Vec::new(), Vec::new(), 0);
    let live = stuck_at(name);
    let mut session = SessionSummary::default();
    session.add(&live);
    let second = Duration::from_secs(1);
    let summary = stuck::summary::summary(&session, &live.watched, second, Page::UNLIMITED);
    shown(view(), &live) + &shown(view(), &recorded) + &shown(view(), &nothing) + &summary
}

fn records(name: &str) -> Vec<Record> {
    let mut seen = log::fixtures::transition();
    seen.opener = Some(owner(name));
    seen.user = Some(owner(name));
    seen.caller = Some(Process::named((1, name)));
    let open: StillOpen = log::fixtures::still_open();
    let holders = ["x", name]
        .map(|comm| crate::fixtures::holder(7, comm, 1))
        .to_vec();
    let held = StillOpen {
        socket: Socket {
            holders: Some(holders.clone()),
            opener: Some(owner(name)),
            ..open.socket.clone()
        },
        ..open.clone()
    };
    let mut several = holders;
    several[0].pid = 9;
    let waits = StillOpen {
        socket: Socket {
            holders: Some(Vec::new()),
            opener: None,
            listener: Some(Listener {
                holders: Some(several),
                ..Listener::logged(owner(name))
            }),
            ..open.socket.clone()
        },
        ..open
    };
    vec![
        Record::Transition(seen),
        Record::StillOpen(held),
        Record::StillOpen(waits),
    ]
}

fn log_as(format: Format, medium: Medium, name: &str) -> String {
    let records = records(name);
    let header = RecordingHeader {
        version: name.into(),
        kernel: name.into(),
        boot_id: Some(name.into()),
        filters: log_filters(name),
        netns: vec![NamedNetns {
            inode: NETNS,
            name: name.into(),
        }],
        ..crate::fixtures::recording_header()
    };
    let first = log::first_line(format, &header);
    let lines = records
        .iter()
        .map(|record| shown(log::choose(format, medium, None), record));
    String::from_utf8(first).expect("JSON is UTF-8") + &lines.collect::<String>()
}

fn hist_as(format: Format, name: &str) -> String {
    let mut durations = Durations::new(Selection {
        states: vec![tcptrace_common::TcpState::CloseWait],
        by: vec![Part::Comm, Part::Pid, Part::Cgroup, Part::Netns],
        max_keys: 9,
    });
    let mut seen = log::fixtures::transition();
    seen.from = tcptrace_common::TcpState::CloseWait;
    seen.opener = Some(owner(name));
    seen.duration = StateDuration::Exact(5 * MS);
    durations.transition(&seen);
    for record in records(name) {
        if let Record::StillOpen(open) = record {
            durations.open(&open.socket, open.monotonic_ns);
        }
    }
    let span = Span {
        time: None,
        end_ns: 9,
        length_ns: 9,
        extent: Extent::Whole,
    };
    let mut report = hist::report::report(&durations, span, false, Account::default());
    report.caveats = caveats(name);
    let options = super::hist::HistOptions {
        format,
        top: None,
        filters: filters(name).to_string(),
    };
    shown(super::hist::choose(options), &report)
}

fn states_as(format: Format, by: &[By], name: &str) -> String {
    let mut report = states::fixture();
    report.by = by.to_vec();
    report.caveats = caveats(name);
    for group in &mut report.groups {
        let key = &mut group.key;
        key.comm = Some(name.into());
        key.cgroup = Some(self::group(name));
        key.container = Some(name.into());
        key.candidates = vec![(Some(1), name.into()), (None, name.into())];
    }
    for service in &mut report.services {
        service.comms = vec![name.into()];
    }
    let options = states::StatesOptions {
        format,
        top: None,
        filters: filters(name).to_string(),
        live: false,
    };
    shown(states::choose(options), &report)
}

/// What `doctor` shows may have several lines.
fn doctor_as(format: Format, name: &str) -> String {
    let name = &name.replace('\n', "");
    let mut finding = Finding::degraded("kernel", format!("{name}; {name}")).advice(name);
    finding.caveat = caveats(name).pop();
    shown(doctor::choose(format, false), &[finding][..])
}

const TEXT: [(&str, Show); 9] = [
    ("stuck", |name| stuck_as(Format::Text, false, None, name)),
    ("stuck -v", |name| stuck_as(Format::Text, true, None, name)),
    ("stuck --explain", |name| {
        stuck_as(Format::Text, false, Some(Explain::All), name)
    }),
    ("log", |name| log_as(Format::Text, SCREEN, name)),
    ("log file", |name| log_as(Format::Text, FILE, name)),
    ("hist", |name| hist_as(Format::Text, name)),
    ("states", |name| states_as(Format::Text, &[], name)),
    ("states --by", |name| {
        states_as(Format::Text, &[By::Comm, By::Cgroup, By::Container], name)
    }),
    ("doctor", |name| doctor_as(Format::Text, name)),
];

const JSON: [(&str, Show); 6] = [
    ("stuck", |name| stuck_as(Format::Json, true, None, name)),
    ("log", |name| log_as(Format::Json, FILE, name)),
    ("hist", |name| hist_as(Format::Json, name)),
    ("states", |name| states_as(Format::Json, &[], name)),
    ("states --by", |name| {
        states_as(Format::Json, &[By::Comm, By::Container], name)
    }),
    ("doctor", |name| doctor_as(Format::Json, name)),
];

/// Line ends and a view's own colours, which are the same for every name.
fn marks(text: &str) -> (usize, usize) {
    let count = |wanted: char| text.chars().filter(|c| *c == wanted).count();
    (count('\n'), count('\u{1b}'))
}

#[test]
fn no_view_lets_a_name_through() {
    for (what, show) in TEXT.into_iter().chain(JSON) {
        // The same number of columns, so that rows are cut at the same places.
        for name in NAMES {
            let harmless = "x".repeat(clean(name).len());
            let (text, expected) = (show(name), show(&harmless));
            assert_eq!(marks(&text), marks(&expected), "{what}: {name:?}\n{text:?}");
            let hostile = |c: char| is_hostile(c) && !"\n\u{1b}".contains(c);
            assert!(!text.contains(hostile), "{what}: {name:?}\n{text:?}");
            assert_ne!(show("harmless"), text, "{what} shows it");
        }
    }
}

#[test]
fn json_says_the_name_itself() {
    for (what, show) in JSON {
        for name in NAMES {
            let lines = show(name);
            let name = if what == "doctor" {
                name.replace('\n', "")
            } else {
                name.to_owned()
            };
            let quoted = serde_json::to_string(&name).expect("a string is JSON");
            let parsed: Vec<serde_json::Value> = (lines.lines())
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect();
            let again = serde_json::to_string(&parsed).expect("it was JSON");
            assert!(
                again.contains(quoted.trim_matches('"')),
                "{what}: {name:?}\n{again}"
            );
        }
    }
}

#[test]
fn messages_and_paths_are_clean() {
    for name in NAMES {
        let harmless = |text: &str| !text.contains(is_hostile);
        assert!(harmless(&path(Path::new(name))));
        assert!(
            message(&format!("{name}\n  {name}"))
                .split('\n')
                .all(harmless)
        );
        for caveat in caveats(name) {
            assert!(harmless(&clean(&caveat::text(&caveat))));
        }
    }
}
