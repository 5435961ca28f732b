use std::time::Duration;

use proptest::prelude::*;
use tcptrace_common::TcpState::{self, Close, CloseWait, Established, FinWait1, SynRecv, SynSent};
use unicode_width::UnicodeWidthStr as _;

use super::*;
use crate::{
    fixtures::end,
    model::{
        owner::{KnownBy, Owner, Process},
        socket::Role,
        transition::StateDuration,
    },
    view::log::fixtures,
};

fn page(width: usize) -> Page {
    Page::UNLIMITED.with_width(Some(width))
}

fn shown(screen: &mut Screen, records: &[Record], page: &Page) -> String {
    let mut out = Vec::new();
    for record in records {
        screen.show(record, page, &mut out);
    }
    String::from_utf8(out).expect("text is UTF-8")
}

fn text(records: &[Record], page: &Page) -> String {
    shown(&mut Screen::new(false, false), records, page)
}

fn owner(pid: u32, comm: &str, known_by: KnownBy) -> Owner {
    Owner {
        known_by,
        ..fixtures::owner(pid, comm)
    }
}

/// What happens to this socket; the local port is 0 before one is chosen.
fn seen(
    ms: u64,
    (opener, role): (Owner, Role),
    (from, to): (TcpState, TcpState),
    duration: StateDuration,
    (local, remote): (&str, &str),
) -> Transition {
    let parsed = |text: &str| {
        let (address, port) = text.rsplit_once(':').expect("it has a port");
        end(address, port.parse().expect("a number"))
    };
    let mut transition = fixtures::transition();
    transition.time += Duration::from_millis(ms);
    (transition.from, transition.to, transition.duration) = (from, to, duration);
    transition.opener = Some(opener);
    transition.socket.role = role;
    (transition.socket.local, transition.socket.remote) = (parsed(local), parsed(remote));
    transition
}

/// The story of section 10 of the target screens.
fn story() -> Vec<Record> {
    let client = || (owner(17833, "python3", KnownBy::Connect), Role::Client);
    let server = || (owner(17817, "java", KnownBy::Accept), Role::Server);
    let other = || (owner(16062, "python3", KnownBy::Connect), Role::Client);
    let exact = StateDuration::Exact;
    let up = ("127.0.0.1:44850", "127.0.0.1:8080");
    let down = ("::ffff:127.0.0.1:8080", "::ffff:127.0.0.1:44850");
    let mut story = vec![
        seen(
            0,
            client(),
            (Close, SynSent),
            StateDuration::Unknown,
            ("127.0.0.1:0", up.1),
        ),
        seen(1, client(), (SynSent, Established), exact(74_000), up),
        seen(1, server(), (SynRecv, Established), exact(5_000), down),
        seen(
            302,
            client(),
            (Established, FinWait1),
            exact(301_000_000),
            up,
        ),
        seen(
            302,
            server(),
            (Established, CloseWait),
            exact(301_000_000),
            down,
        ),
    ];
    let ends = ("127.0.0.1:37102", "127.0.0.1:8080");
    let mut reset = seen(
        1507,
        other(),
        (CloseWait, Close),
        exact(1_200_000_000),
        ends,
    );
    reset.ending = Ending::ResetStillOpen;
    story.push(reset);
    story.into_iter().map(Record::Transition).collect()
}

/// One process opened it, and another uses it.
fn passed_on(opener: &str, user: &str) -> Transition {
    let opener = (owner(18560, opener, KnownBy::Accept), Role::Server);
    let duration = StateDuration::AtLeast(126_000_000_000);
    let ends = ("127.0.0.1:8080", "127.0.0.1:42986");
    let mut passed_on = seen(1600, opener, (Established, CloseWait), duration, ends);
    passed_on.user = Some(owner(18702, user, KnownBy::Call));
    passed_on
}

fn long() -> Transition {
    let mut long = passed_on("systemd-resolve", "systemd-network");
    long.socket.local = end("2001:db8:1111:2222:3333:4444:5555:6666", 65535);
    long.socket.remote = end("2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", 65535);
    long.caller = Some(fixtures::process(4_194_304, "containerd-shim"));
    long
}

fn all() -> Vec<Record> {
    let mut all = story();
    let others = fixtures::all();
    all.extend(
        others
            .into_iter()
            .filter(|record| !matches!(record, Record::StillOpen(_))),
    );
    all.push(Record::Transition(passed_on("forkinherit", "sleep")));
    all.push(Record::Transition(long()));
    all
}

#[test]
fn a_terminal_of_60() {
    insta::assert_snapshot!(text(&all(), &page(60)));
}

#[test]
fn a_terminal_of_80() {
    insta::assert_snapshot!(text(&all(), &page(80)));
}

#[test]
fn a_terminal_of_120() {
    insta::assert_snapshot!(text(&all(), &page(120)));
}

#[test]
fn a_terminal_of_200() {
    insta::assert_snapshot!(text(&all(), &page(200)));
}

#[test]
fn in_ascii() {
    let page = Page {
        ascii: true,
        ..page(80)
    };
    let text = text(&all(), &page);
    assert!(text.is_ascii(), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn usual_lines_are_those_of_the_target() {
    // shared/SCREENS.md, section 10.
    let lines = text(&story(), &page(80));
    assert!(
        lines.starts_with(
            "2026-11-23\nTIME (UTC)    PROCESS         STATE          AFTER  CONNECTION\n"
        ),
        "{lines}"
    );
    assert!(
        lines.contains(
            "\n01:20:04.121  java[17817]     ESTABLISHED      5µs  :8080 from 127.0.0.1:44850\n"
        ),
        "{lines}"
    );
    let lines = text(&story(), &page(117));
    assert!(lines.contains("\n01:20:05.627  python3[16062]  connect   CLOSE_WAIT -> CLOSE residue    1.2s  :37102 to 127.0.0.1:8080      4026531833\n"), "{lines}");
}

#[test]
fn the_heading_comes_again_with_a_new_day_and_a_new_width() {
    let mut screen = Screen::new(false, false);
    let line = |hours: u64| {
        let mut line = fixtures::transition();
        line.time += Duration::from_secs(hours * 3600);
        [Record::Transition(line)]
    };
    let text = [
        shown(&mut screen, &line(0), &page(120)),
        shown(&mut screen, &line(1), &page(120)),
        shown(&mut screen, &line(1), &page(80)),
        shown(&mut screen, &line(23), &page(80)),
    ];
    let count = |text: &str, words: &str| text.matches(words).count();
    assert_eq!(
        text.each_ref().map(|text| count(text, "TIME (UTC)")),
        [1, 0, 1, 1]
    );
    assert_eq!(
        text.each_ref().map(|text| count(text, "2026-11-2")),
        [1, 0, 0, 1]
    );
    assert!(text[3].starts_with("2026-11-24\n"), "{}", text[3]);
}

#[test]
fn colours_are_only_additions() {
    let coloured = shown(&mut Screen::new(true, false), &all(), &page(80));
    let plain = text(&all(), &page(80));
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
    for line in coloured.lines() {
        let plain = anstream::adapter::strip_str(line).to_string();
        let style = if plain.starts_with("TIME") || plain.starts_with("2026") {
            Some(HEADING)
        } else {
            plain.starts_with(['!', ' ']).then_some(WARNING)
        };
        let expected =
            style.map_or_else(|| plain.clone(), |style| format!("{style}{plain}{style:#}"));
        assert_eq!(line, expected);
    }
}

#[test]
fn what_is_still_open_waits_for_the_end() {
    let mut screen = Screen::new(false, false);
    let open = [Record::StillOpen(fixtures::still_open())];
    assert_eq!(shown(&mut screen, &open, &page(80)), "");
    let mut out = Vec::new();
    screen.end(&page(80), &mut out);
    let text = String::from_utf8(out).expect("text is UTF-8");
    assert!(
        text.starts_with("\nStill open: 1 in CLOSE_WAIT\n"),
        "{text}"
    );
}

fn any_transition() -> impl Strategy<Value = Transition> {
    let comm = || "[a-z]{1,15}|[\\x01-\\x{ff}]{1,15}|[日本\u{1b}\u{202e}]{1,5}";
    let address = || {
        prop_oneof![
            any::<u32>().prop_map(|bits| std::net::IpAddr::from(bits.to_be_bytes())),
            any::<u128>().prop_map(|bits| std::net::IpAddr::from(bits.to_be_bytes())),
        ]
    };
    let ends = (address(), any::<u16>(), address(), any::<u16>());
    let pids = (any::<u32>(), any::<u32>(), any::<u32>());
    let states = (0..TcpState::ALL.len(), 0..TcpState::ALL.len());
    let names = (comm(), comm(), comm());
    let kinds = (0_u8..16, any::<u64>(), any::<u32>());
    (ends, pids, states, names, kinds).prop_map(|(ends, pids, states, names, kinds)| {
        let mut seen = fixtures::transition();
        seen.socket.local = crate::model::socket::Endpoint {
            address: ends.0,
            port: ends.1,
        };
        seen.socket.remote = crate::model::socket::Endpoint {
            address: ends.2,
            port: ends.3,
        };
        (seen.from, seen.to) = (TcpState::ALL[states.0], TcpState::ALL[states.1]);
        let (kind, ns, netns) = kinds;
        seen.socket.netns = Some(netns);
        seen.socket.role = [Role::Client, Role::Server, Role::Unknown][usize::from(kind % 3)];
        seen.duration =
            [StateDuration::Exact(ns), StateDuration::AtLeast(ns)][usize::from(kind % 2)];
        seen.opener = Some(owner(pids.0, &names.0, KnownBy::Accept));
        if kind & 4 != 0 {
            seen.user = Some(owner(pids.1, &names.1, KnownBy::Call));
        }
        if kind & 8 != 0 {
            seen.caller = Some(Process::named((pids.2, &names.2)));
            seen.ending = Ending::ResetStillOpen;
        }
        seen
    })
}

proptest! {
    /// A figure is there whole, or its column has left.
    #[test]
    fn no_line_is_wider_and_no_figure_is_cut(
        transitions in prop::collection::vec(any_transition(), 1..5),
        width in 24_usize..220,
        ascii: bool,
    ) {
        let page = Page { ascii, ..page(width) };
        let mut screen = Screen::new(false, false);
        let mut heading = String::new();
        for transition in transitions {
            let text = shown(&mut screen, &[Record::Transition(transition.clone())], &page);
            for line in text.lines() {
                prop_assert!(line.width() <= width, "{} of {width}: {text}", line.width());
            }
            prop_assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
            prop_assert!(!ascii || text.is_ascii(), "{text}");
            let lines: Vec<_> = text.lines().collect();
            let (line, above) = lines.split_last().expect("there is one");
            if let Some(last) = above.last() {
                heading = (*last).to_owned();
            }
            let has = |column: &str| heading.contains(column);
            let owner = transition.owner().and_then(|owner| owner.process.pid);
            let pid = format!("[{}]", owner.expect("it has one"));
            prop_assert_eq!(has("PROCESS"), line.contains(&pid), "{}\n{}", heading, line);
            prop_assert!(line.contains(transition.to.name()), "{heading}\n{line}");
            prop_assert!(!has("FROM") || line.contains(transition.from.name()), "{heading}\n{line}");
            let port = |port: u16| if port == 0 { "?".to_owned() } else { port.to_string() };
            if has("CONNECTION") {
                let remote = format!(":{}", port(transition.socket.remote.port));
                let local = transition.socket.local.port;
                let local = if local == 0 { String::new() } else { format!(":{local} ") };
                prop_assert!(line.contains(&remote) && line.contains(&local), "{heading}\n{line}");
            }
            if has("NETNS") {
                let netns = transition.socket.netns.expect("it has one").to_string();
                prop_assert!(line.contains(&netns), "{heading}\n{line}");
            }
            if has("AFTER") {
                let (ns, precision) = transition.duration.known().expect("it is known");
                let mut age = Vec::new();
                pieces::duration(ns, precision == Precision::Exact, ascii, &mut age);
                let age = String::from_utf8(age).expect("text is UTF-8");
                prop_assert!(line.contains(&age), "{heading}\n{line}");
            }
        }
    }
}
