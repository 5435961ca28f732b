//! The screens of `states`, on pages of every size.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use tcptrace_common::TcpState;
use unicode_width::UnicodeWidthStr as _;

use crate::{
    model::{
        caveat::Caveat,
        socket::Role,
        states::{
            counts::{Counts, STATES},
            member::{Holders, Kind, Member, NoSocket},
            remotes::Remotes,
            report::{By, Group, Key, Report, Service},
        },
    },
    view::{
        Page,
        states::{fixture, rows::CONNECTED, text::Text},
    },
};

fn page(width: usize, height: usize) -> Page {
    Page {
        width: Some(width),
        height: Some(height),
        ascii: false,
    }
}

fn coloured(report: &Report, top: Option<usize>, page: Page) -> String {
    Text::new(top, "", true).render(report, page)
}

fn plain(report: &Report, top: Option<usize>, page: Page) -> String {
    anstream::adapter::strip_str(&coloured(report, top, page)).to_string()
}

fn counts(numbers: &[(TcpState, u64)], residue: u64, no_sockets: &[(NoSocket, u64)]) -> Counts {
    let sockets = numbers
        .iter()
        .map(|(state, count)| (Kind::Socket(*state), *count));
    let others = no_sockets
        .iter()
        .map(|(kind, count)| (Kind::NoSocket(*kind), *count));
    let closed = [(Kind::Socket(TcpState::Close), residue)];
    let mut counts = Counts::default();
    for (kind, count) in sockets.chain(others).chain(closed) {
        counts.add(&Member {
            kind,
            count,
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
}

fn client(comm: &str, pid: u32, remote: &str, port: u16) -> Key {
    Key {
        comm: Some(comm.into()),
        pid: Some(pid),
        server: Some(false),
        remote: Some(remote.parse().expect("an address")),
        port: Some(port),
        ..Key::default()
    }
}

fn server(comm: &str, pid: u32, port: u16) -> Key {
    Key {
        comm: Some(comm.into()),
        pid: Some(pid),
        server: Some(true),
        port: Some(port),
        ..Key::default()
    }
}

fn group(key: Key, counts: Counts, from: &[&str]) -> Group {
    let mut remotes = Remotes::default();
    for address in from {
        remotes.add(address.parse().expect("an address"));
    }
    Group {
        key,
        counts,
        before: None,
        remotes,
    }
}

fn report(groups: Vec<Group>) -> Report {
    let mut all = Counts::default();
    for group in &groups {
        all.add_all(&group.counts);
    }
    Report {
        time: UNIX_EPOCH + Duration::from_secs(1_764_171_378),
        monotonic_ns: 5_000_000_000,
        by: Vec::new(),
        all,
        before: None,
        processes: groups
            .iter()
            .filter(|group| group.key.pid.is_some())
            .count(),
        groups,
        services: Vec::new(),
        caveats: Vec::new(),
    }
}

/// A leak, a pool, a proxy between them, and a healthy database.
fn leaks() -> Report {
    use TcpState::{CloseWait, Established, FinWait2};
    let local = "127.0.0.1";
    let of = |numbers: &[(TcpState, u64)]| counts(numbers, 0, &[]);
    let mut groups = vec![
        group(
            client("haproxy", 16037, local, 8080),
            of(&[(FinWait2, 120)]),
            &[],
        ),
        group(
            server("haproxy", 16037, 80),
            of(&[(CloseWait, 120)]),
            &[local],
        ),
        group(
            server("python3", 16031, 8080),
            of(&[(CloseWait, 120)]),
            &[local],
        ),
        group(
            client("java", 16123, local, 8080),
            of(&[(Established, 31), (CloseWait, 100)]),
            &[],
        ),
        group(
            client("python3", 16062, local, 8080),
            counts(&[(CloseWait, 10)], 50, &[]),
            &[],
        ),
        group(
            Key::default(),
            counts(
                &[],
                0,
                &[(NoSocket::TimeWait, 400), (NoSocket::FinWait2Remainder, 12)],
            ),
            &[],
        ),
    ];
    for worker in 0..31 {
        let from = format!("10.0.0.{}", worker * 7);
        let established = of(&[(Established, if worker == 0 { 38 } else { 25 })]);
        groups.push(group(
            server("postgres", 900 + worker, 5432),
            established,
            &[&from],
        ));
    }
    let mut report = report(groups);
    report.processes = 35;
    let service = |port, comm: &str| Service {
        port,
        comms: vec![comm.into()],
        queued: 0,
    };
    report.services = vec![
        service(80, "haproxy"),
        service(5432, "postgres"),
        service(8080, "python3"),
    ];
    report
}

/// The same with what could not be seen, as a live screen shows it.
fn watched() -> Report {
    let mut report = leaks();
    report.caveats = vec![
        Caveat::UnreadableProcesses(vec![1, 2]),
        Caveat::UnreadQueues(1),
    ];
    report.before = Some(leaks().all);
    report.services[0].queued = 7;
    report
}

#[test]
fn one_screen_at_each_width() {
    for width in [60, 80, 120, 200] {
        let page = Page::UNLIMITED.with_width(Some(width));
        insta::assert_snapshot!(format!("width_{width}"), plain(&leaks(), None, page));
    }
    insta::assert_snapshot!("pipe", plain(&watched(), None, Page::UNLIMITED));
}

#[test]
fn one_screen_in_colours() {
    let text = coloured(&watched(), None, page(80, 24));
    insta::assert_snapshot!(text.replace('\u{1b}', "^"));
}

#[test]
fn one_screen_in_ascii() {
    let mut report = watched();
    report.groups[3].key.comm = Some("jävä".into());
    let page = Page {
        ascii: true,
        ..page(80, 16)
    };
    let text = plain(&report, None, page);
    assert!(text.is_ascii(), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_small_screen_has_the_head_the_worst_rows_and_the_caveat() {
    let text = plain(&watched(), None, page(60, 12));
    assert!(text.lines().count() < 12, "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn what_was_asked_for_is_shown_whatever_the_height() {
    let once = |top| {
        let text = Text::new(top, "", false).render(&leaks(), page(80, 10));
        anstream::adapter::strip_str(&text).to_string()
    };
    let rows = |text: &str| text.lines().filter(|line| line.contains(":8080")).count();
    assert!(once(None).lines().count() < 10, "{}", once(None));
    assert!(rows(&once(None)) < 4);
    assert_eq!(rows(&once(Some(5))), 4);
    // What is redrawn fits, and has no more than that.
    let live = plain(&leaks(), Some(5), page(80, 10));
    assert!(live.lines().count() < 10, "{live}");
    let live = plain(&leaks(), Some(1), page(80, 12));
    assert!(live.contains("… 5 more rows"), "{live}");
    // The last row stands where a line would say that it is missing.
    let live = plain(&leaks(), None, page(80, 11));
    assert!(
        live.contains("postgres") && live.lines().count() < 11,
        "{live}"
    );
}

#[test]
fn by_other_parts_what_is_no_socket_has_columns() {
    let mut report = fixture();
    report.by = vec![By::Comm, By::Netns];
    report.before = None;
    insta::assert_snapshot!(plain(&report, Some(2), Page::UNLIMITED));
}

#[test]
fn residue_of_several_and_candidates() {
    let mut other = server("java", 7, 443);
    other.candidates = vec![(Some(7), "java".into()), (Some(8), "java".into())];
    (other.comm, other.pid) = (None, None);
    let close_wait = counts(&[(TcpState::CloseWait, 3)], 1, &[]);
    let unconnected = counts(&[(TcpState::Close, 9)], 2, &[(NoSocket::HalfOpen, 4)]);
    let report = report(vec![
        group(other, close_wait, &["2001:db8::1", "2001:db8::2"]),
        group(client("curl", 9, "::1", 443), unconnected, &[]),
    ]);
    let at = |width| plain(&report, None, Page::UNLIMITED.with_width(Some(width)));
    insta::assert_snapshot!([60, 80, 120].map(at).join("\n"));
}

#[test]
fn nothing_is_one_line() {
    let text = plain(&report(Vec::new()), None, page(80, 24));
    assert_eq!(text, format!("0 sockets{:>71}\n", "15:36:18Z"));
}

#[test]
fn hostile_names_do_not_reach_the_terminal() {
    let text = plain(&fixture(), None, Page::UNLIMITED);
    let hostile = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(hostile), "{text:?}");
}

#[test]
fn every_state_is_shown_somewhere() {
    for state in STATES {
        let elsewhere = [TcpState::Listen, TcpState::TimeWait, TcpState::Close];
        assert!(
            CONNECTED.contains(&state) || elsewhere.contains(&state),
            "{state:?}"
        );
    }
}

/// What the row of a group must have in each column that there is, unless its name is shortened.
fn agrees(head: &str, row: &str, key: &Key, group: &Counts) -> Result<(), TestCaseError> {
    let mut cells = row.split_whitespace();
    for state in CONNECTED {
        if head.split_whitespace().any(|one| one == state.name()) {
            let number = match group.of(state) {
                0 => ".".to_owned(),
                count => count.to_string(),
            };
            prop_assert_eq!(cells.next(), Some(&*number), "{} in {}", state.name(), row);
        }
    }
    let port = key.port.unwrap_or_default();
    if head.contains("CONNECTION") {
        let (remote, own) = (
            format!(":{port}"),
            [format!(" :{port} from "), format!(" on :{port}")],
        );
        let whole = match key.server {
            Some(true) => own.iter().any(|own| row.contains(own)) || row.ends_with(&own[1]),
            _ => row.ends_with(&remote),
        };
        prop_assert!(whole, "{port} in {row}");
    }
    let pid = format!("[{}]", key.pid.unwrap_or_default());
    prop_assert!(
        !head.contains("PROCESS") || row.contains(&pid),
        "{pid} in {row}"
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn no_line_is_wider_and_no_figure_is_cut(
        width in 40_usize..220,
        height in prop::option::of(8_usize..60),
        ascii: bool,
        numbers in prop::collection::vec((0_u64..1 << 50, any::<u8>(), any::<u32>(), any::<u16>(), any::<bool>()), 1..9),
        comm in "[a-z\\n\\t\u{1b}漢ä]{1,15}",
        v6: bool,
        by in prop::sample::subsequence(By::ALL.to_vec(), 0..4),
    ) {
        let address = if v6 { "2001:db8:1111:2222:3333:4444:5555:6666" } else { "203.0.113.222" };
        let mut groups: Vec<Group> = numbers.iter().map(|(count, shift, pid, port, serves)| {
            let count = 1 + (count >> (shift % 50));
            let state = CONNECTED[usize::from(*shift) % CONNECTED.len()];
            let of = counts(&[(state, count), (TcpState::CloseWait, 1)], count / 2, &[]);
            match serves {
                true => group(server(&comm, *pid, *port), of, &[address]),
                false => group(client(&comm, *pid, address, *port), of, &[]),
            }
        }).collect();
        for group in &mut groups {
            group.key.cgroup = Some(format!("/{}", comm.repeat(9)).into());
            group.key.container = Some(comm.repeat(5));
        }
        let mut report = report(groups);
        report.by.clone_from(&by);
        report.caveats = vec![Caveat::UnreadQueues(u64::MAX), Caveat::PidNamespace];
        report.services = vec![Service { port: 65535, comms: vec![comm.as_str().into(); 9], queued: u64::MAX }];
        let page = Page { width: Some(width), height, ascii };
        let text = plain(&report, None, page);
        for line in text.lines() {
            prop_assert!(line.width() <= width, "{line:?} in\n{text}");
        }
        if let Some(height) = height {
            prop_assert!(text.lines().count() < height.max(11), "{height}:\n{text}");
        }
        let head = text.lines().find(|line| line.contains("CLOSE_WAIT  ") || line.ends_with("CLOSE_WAIT"));
        let shown: Vec<&str> = text.lines().skip_while(|line| Some(*line) != head).skip(1).collect();
        let alike = numbers.iter().any(|one| numbers.iter().filter(|other| (other.3, other.4) == (one.3, one.4)).count() > 1);
        if let Some(head) = head.filter(|head| by.is_empty() && !alike && head.contains("PROCESS")) {
            for group in &report.groups {
                let pid = format!("[{}]", group.key.pid.unwrap_or_default());
                for row in shown.iter().take_while(|line| !line.is_empty()).filter(|row| row.contains(&pid)) {
                    agrees(head, row, &group.key, &group.counts)?;
                }
            }
            prop_assert!(shown.iter().any(|row| row.contains('[')), "{text}");
        }
    }
}
