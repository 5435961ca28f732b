//! The screens of `hist`, on pages of every size.

use proptest::prelude::*;
use tcptrace_common::{Ending, TcpState};
use unicode_width::UnicodeWidthStr as _;

use crate::{
    model::{
        caveat::Caveat,
        hist::{
            durations::Spread,
            key::{Key, Part},
            report::{Extent, KeyDurations, Report},
        },
        transition::StateDuration,
    },
    view::{
        Page,
        hist::{
            fixtures::{MS, durations, report},
            text::render,
        },
    },
};

fn at(width: usize, ascii: bool) -> Page {
    Page {
        width: Some(width),
        height: None,
        ascii,
    }
}

fn plain(report: &Report, page: Page) -> String {
    let text = render(report, 10, "", page);
    anstream::adapter::strip_str(&text).to_string()
}

/// A leak that began before the start, and a pool whose connections the peer resets.
fn leaks() -> Report {
    let mut report = report(&[Part::Comm], 512, false);
    let spread = |ended: &[(u64, u64)], reset: u64, open: &[(u64, u64)], before: &[(u64, u64)]| {
        let mut spread = Spread::default();
        let each = |all: &[(u64, u64)], add: &mut dyn FnMut(u64)| {
            for (ms, count) in all {
                (0..*count).for_each(|_| add(ms * MS));
            }
        };
        each(ended, &mut |ns| {
            spread.end(Ending::Closed, StateDuration::Exact(ns));
        });
        each(&[(1200, reset)], &mut |ns| {
            spread.end(Ending::ResetStillOpen, StateDuration::Exact(ns));
        });
        each(open, &mut |ns| spread.open.add(ns));
        each(before, &mut |ns| spread.open_at_least.add(ns));
        spread
    };
    let group = |comm: &str, spread| KeyDurations {
        state: TcpState::CloseWait,
        key: Some(Key {
            comm: Some(comm.into()),
            ..Key::default()
        }),
        spread,
    };
    report.groups = vec![
        group("sleep", spread(&[], 0, &[], &[(12_000, 7), (23_400, 73)])),
        group(
            "python3",
            spread(
                &[(31, 513), (72, 885), (106, 380), (120, 2)],
                50,
                &[(22, 5), (61, 1), (113, 5)],
                &[],
            ),
        ),
    ];
    report.selection.states = vec![TcpState::CloseWait];
    report.length_ns = 28_000 * MS;
    report
}

#[test]
fn one_screen_at_each_width() {
    for width in [60, 80, 120, 200] {
        insta::assert_snapshot!(format!("width_{width}"), plain(&leaks(), at(width, false)));
    }
    insta::assert_snapshot!("pipe", plain(&leaks(), Page::UNLIMITED));
}

#[test]
fn one_screen_in_colours() {
    let mut report = leaks();
    report.account.untracked = 2;
    report.groups.truncate(1);
    let text = render(&report, 10, "", at(80, false));
    insta::assert_snapshot!(text.replace('\u{1b}', "^"));
}

#[test]
fn what_is_refreshed_fits_and_the_whole_does_not_have_to() {
    let mut report = leaks();
    report.extent = Extent::SoFar;
    report.account.untracked = 2;
    report.account.unkeyed = 9;
    report.account.unfollowed = 1;
    let on = |height| Page {
        height: Some(height),
        ..at(60, false)
    };
    for height in [12, 16, 24, 40] {
        let text = plain(&report, on(height));
        assert!(text.lines().count() < height, "{text}");
    }
    insta::assert_snapshot!(plain(&report, on(24)));
    report.extent = Extent::Whole;
    assert_eq!(plain(&report, on(12)), plain(&report, at(60, false)));
}

#[test]
fn the_most_time_in_a_state_comes_first() {
    insta::assert_snapshot!(plain(&report(&[Part::Pid], 512, false), at(80, false)));
}

#[test]
fn a_narrow_terminal_has_short_bars_and_ascii_is_ascii() {
    let report = report(&[], 512, true);
    let text = plain(&report, at(44, true));
    assert!(text.is_ascii(), "{text}");
    insta::assert_snapshot!(text);
    for width in [10, 30] {
        let text = plain(&report, at(width, false));
        assert!(
            text.lines().all(|line| line.chars().count() <= width),
            "{text}"
        );
    }
}

#[test]
fn what_is_missing_is_said() {
    let mut report = report(&[Part::Comm], 1, false);
    report.account.unkeyed = 101;
    report.account.lost = 3;
    report.account.untracked = 2;
    report.account.skipped = Some(4);
    report.account.unfollowed = 1;
    report.caveats = vec![Caveat::DamagedLines {
        count: 1,
        first: vec![3],
        reason: "\x1b[31m".into(),
    }];
    insta::assert_snapshot!(plain(&report, at(100, false)));
}

#[test]
fn what_no_process_ended_stands_apart() {
    let mut report = report(&[Part::Comm], 512, false);
    let group = &mut report.groups[0];
    for (ending, count) in [
        (Ending::ResetStillOpen, 3),
        (Ending::Reset, 1),
        (Ending::Unknown, 2),
    ] {
        for _ in 0..count {
            group.spread.end(ending, StateDuration::Exact(20_000_000));
        }
    }
    let mut remainders = group.clone();
    (remainders.state, remainders.spread) = (TcpState::FinWait2, Spread::default());
    let end = (Ending::ToRemainder, StateDuration::Exact(4_000));
    remainders.spread.end(end.0, end.1);
    report.groups.truncate(1);
    report.groups.push(remainders);
    report.selection.states = vec![TcpState::CloseWait, TcpState::FinWait2];
    insta::assert_snapshot!(plain(&report, at(80, false)));
}

#[test]
fn the_top_is_cut_and_says_so() {
    let report = report(&[Part::Comm], 512, false);
    let text = render(&report, 1, "--pid 4", at(80, false));
    assert!(text.contains("… 2 more in CLOSE_WAIT: --top N"), "{text}");
    assert!(!text.contains("nginx"), "{text}");
}

#[test]
fn hostile_names_do_not_reach_the_terminal() {
    let mut report = report(&[Part::Comm], 512, false);
    for key in report
        .groups
        .iter_mut()
        .filter_map(|group| group.key.as_mut())
    {
        key.comm = Some("\x1b]0;owned\x07\u{9b}2J\n".into());
    }
    for only_ascii in [false, true] {
        let text = plain(&report, at(200, only_ascii));
        assert!(
            !text.contains(|c: char| c.is_control() && c != '\n'),
            "{text:?}"
        );
    }
}

#[test]
fn nothing_is_one_line() {
    let mut report = report(&[], 1, false);
    report.groups.clear();
    let text = plain(&report, at(80, false));
    assert!(text.ends_with("CLOSE_WAIT: no socket was in it\n\nLAST_ACK: no socket was in it\n"));
    assert_eq!(durations(&[], 1).keys(), 1);
}

/// The numbers at the beginning of a line that has bars or nothing behind them.
fn numbers(line: &str) -> Vec<u64> {
    let cells = line.split_whitespace();
    // `1m 40s` is two words.
    let cells = cells.skip_while(|cell| cell.ends_with(char::is_alphabetic));
    cells.map_while(|cell| cell.parse().ok()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn no_line_is_wider_and_no_figure_is_cut(
        width in 40_usize..220,
        height in prop::option::of(8_usize..60),
        ascii: bool,
        so_far: bool,
        times in prop::collection::vec((1_u64.., 0_u8..6, 1_u8..40), 1..9),
        comm in "[a-z\\n\\t\u{1b}漢ä]{1,15}",
        pid: u32,
        port: u16,
        lost: u64,
    ) {
        let by = [Part::Pid, Part::Remote, Part::Port, Part::Cgroup];
        let mut report = report(&by, 512, false);
        let mut spread = Spread::default();
        for (ns, kind, shift) in times {
            let ns = ns >> shift;
            match kind {
                0 => spread.end(Ending::Closed, StateDuration::Exact(ns)),
                1 => spread.end(Ending::Closed, StateDuration::AtLeast(ns)),
                2 => spread.end(Ending::Reset, StateDuration::Exact(ns)),
                3 => spread.end(Ending::ResetStillOpen, StateDuration::Exact(ns)),
                4 => spread.open.add(ns),
                _ => spread.open_at_least.add(ns),
            }
        }
        let key = Key {
            comm: Some(comm.as_str().into()),
            pid: Some(pid),
            remote: Some("2001:db8:1111:2222:3333:4444:5555:6666".parse().expect("an address")),
            port: Some(port),
            cgroup: Some(format!("/{}", comm.repeat(9)).into()),
            ..Key::default()
        };
        report.groups = vec![KeyDurations { state: TcpState::CloseWait, key: Some(key), spread: spread.clone() }];
        report.account.lost = lost;
        report.extent = if so_far { Extent::SoFar } else { Extent::Whole };
        let text = plain(&report, Page { width: Some(width), height, ascii });
        for line in text.lines() {
            prop_assert!(line.width() <= width, "{line:?} in\n{text}");
        }
        if let Some(height) = height.filter(|height| so_far && *height > 10) {
            prop_assert!(text.lines().count() < height, "{height}:\n{text}");
        }
        let whole = !so_far || height.is_none();
        let shown = |figure: String| text.contains(&figure);
        prop_assert!(!whole || shown(format!("[{pid}]")) && shown(format!("port {port}")), "{text}");
        prop_assert!(!whole || lost == 0 || shown(lost.to_string()), "{text}");
        // What has a column adds up to all of it.
        let mut lines = text.lines().skip_while(|line| !line.trim_start().starts_with("FROM"));
        let Some(head) = lines.next() else {
            return Ok(());
        };
        let columns = [
            ("CLOSED", spread.closed().exact.count()),
            ("RESET", spread.ended(Ending::Reset).count() + spread.ended(Ending::ResetStillOpen).count()),
        ];
        let rows: Vec<_> = lines.map(numbers).collect();
        let heads: Vec<_> = head.split_whitespace().collect();
        for (name, count) in columns {
            if let Some(at) = heads.iter().position(|one| *one == name) {
                // `FROM` is the first, and each column before these has one word.
                let sum: u64 = rows.iter().filter_map(|row| row.get(at - 1)).sum();
                prop_assert_eq!(sum, count, "{} in\n{}", name, text);
            }
        }
    }
}
