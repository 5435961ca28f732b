//! The screen of `stuck`.

use proptest::prelude::*;
use unicode_width::UnicodeWidthStr as _;

use crate::{
    fixtures::{self, busy_look, snapshot},
    model::{
        caveat::Caveat,
        stuck::{group::ProcessName, look::Look, snapshot::Snapshot},
    },
    view::{
        Page,
        stuck::{
            fixtures::{add_residue, diagnose, everything, idle_or_leased, untold},
            text::{Limit, render},
        },
    },
};

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn page(width: usize, height: usize) -> Page {
    Page {
        width: Some(width),
        height: Some(height),
        ascii: false,
    }
}

fn on(snapshot: &Snapshot, page: &Page) -> String {
    plain(&render(snapshot, Limit::Screen, false, page))
}

/// Sockets towards 199 remotes.
fn many_groups() -> Look {
    let mut look = fixtures::look();
    look.listed = (1..200)
        .map(|cookie| {
            let port = 1000 + u16::try_from(cookie).expect("small");
            let (local, remote) = ("10.0.0.1", fixtures::end("10.0.0.2", port));
            fixtures::listed(cookie, fixtures::end(local, port), remote, 60)
        })
        .collect();
    look
}

/// A leak with residue, what follows from it, and eight children with one fault.
fn a_bad_night() -> Snapshot {
    let mut look = busy_look();
    look.caveats = vec![Caveat::UnknownHolders(
        "process 1 may not be looked into".into(),
    )];
    let mut snapshot = snapshot(look);
    diagnose(&mut snapshot);
    let pattern = snapshot.groups[0].clone();
    snapshot.groups.extend((20..28).map(|pid| {
        let mut child = pattern.clone();
        child.owner = Some(ProcessName {
            pid,
            comm: "sleep".into(),
        });
        child.sockets = 1;
        child.stuck = 1;
        child
    }));
    add_residue(&mut snapshot, "java");
    let mut residue = snapshot.residue.take().unwrap_or_default();
    for one in residue.iter_mut().take(10) {
        one.holders[0].pid = 4242;
    }
    snapshot.residue = Some(residue);
    snapshot.began_ns = Some(snapshot.monotonic_ns - 26 * fixtures::SECOND);
    snapshot
}

#[test]
fn at_each_width_the_important_is_on_the_screen() {
    let snapshot = a_bad_night();
    let mut texts: Vec<_> = [(60, 12), (80, 24), (120, 30), (200, 50)]
        .map(|(width, height)| format!("{width}x{height}\n{}", on(&snapshot, &page(width, height))))
        .into();
    texts.push(format!("pipe\n{}", on(&snapshot, &Page::UNLIMITED)));
    let ascii = Page {
        ascii: true,
        ..page(80, 16)
    };
    texts.push(format!("ascii\n{}", on(&snapshot, &ascii)));
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn colours_carry_nothing_alone() {
    let text = render(&a_bad_night(), Limit::Screen, false, &page(100, 30));
    insta::assert_snapshot!(text.replace('\x1b', "^"));
    let mut look = fixtures::look();
    look.listed = Vec::new();
    let clear = render(&snapshot(look), Limit::Screen, false, &page(100, 30));
    insta::assert_snapshot!(clear.replace('\x1b', "^"));
}

#[test]
fn groups_come_first_then_the_oldest_sockets() {
    let snapshot = snapshot(busy_look());
    let text = render(&snapshot, Limit::None, false, &Page::UNLIMITED);
    insta::assert_snapshot!(plain(&text));
}

/// Nothing; not yet; only residue; a filter that leaves all of it out.
#[test]
fn four_kinds_of_nothing_are_four_answers() {
    let mut none = fixtures::look();
    none.listed = Vec::new();
    let young = |milliseconds: u64| {
        let mut look = fixtures::look();
        look.listed = (1..=3)
            .map(|cookie| {
                let local = fixtures::end("10.0.0.1", 1000);
                let remote = fixtures::end("10.0.0.2", 80);
                let mut one = fixtures::listed(cookie, local, remote, 0);
                let ago_ns = milliseconds * 1_000_000;
                one.data_not_before_ns = Some(fixtures::NOW_NS - ago_ns);
                one
            })
            .collect();
        look
    };
    let mut dead = snapshot(none.clone());
    add_residue(&mut dead, "python3");
    let mut left_out = snapshot(none.clone());
    left_out.left_out = 350;
    left_out.watched.filters.comms = vec!["nosuch\x1b".into()];
    let kinds = [
        snapshot(none),
        snapshot(young(118)),
        snapshot(young(25_000)),
        dead,
        left_out,
    ];
    let texts: Vec<_> = kinds.iter().map(|one| on(one, &page(80, 24))).collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn what_was_lost_is_said() {
    let mut look = busy_look();
    look.tracing.lost = 12;
    look.tracing.recursion_misses = Some(2);
    look.caveats = vec![Caveat::UnknownHolders("\x1b[31mred".into())];
    look.held = None;
    let snapshot = snapshot(look);
    let text = render(&snapshot, Limit::Rows(2), false, &Page::UNLIMITED);
    let screen = on(&snapshot, &page(70, 20));
    insta::assert_snapshot!(plain(&text) + "\n" + &screen);
}

#[test]
fn why_a_group_is_stuck_stands_below_it() {
    let mut snapshot = snapshot(busy_look());
    diagnose(&mut snapshot);
    let at = |snapshot: &Snapshot, width| {
        let page = Page::UNLIMITED.with_width(width);
        plain(&render(snapshot, Limit::Rows(1), false, &page))
    };
    let mut texts = [None, Some(100), Some(60)]
        .map(|width| at(&snapshot, width))
        .to_vec();
    snapshot.groups[0].diagnosis = Some(Box::new(idle_or_leased()));
    snapshot.groups[1].diagnosis = Some(Box::new(untold()));
    texts.push(at(&snapshot, Some(80)));
    insta::assert_snapshot!(texts.join("\n"));
}

/// On 80 columns, with what is longest: a remote of IPv6, a v4-mapped one, and a socket that several
/// processes hold.
#[test]
fn a_narrow_terminal_cuts_no_figure() {
    let mut look = busy_look();
    look.listed[0].local = fixtures::end("2001:db8:aaaa:bbbb:cccc:dddd:eeee:ff01", 40001);
    look.listed[0].remote = fixtures::end("2001:db8:aaaa:bbbb:cccc:dddd:eeee:ff02", 8080);
    look.listed[1].remote = fixtures::end("::ffff:10.0.0.7", 8080);
    let snapshot = snapshot(look);
    let text = |width| {
        let page = Page::UNLIMITED.with_width(Some(width));
        plain(&render(&snapshot, Limit::Screen, false, &page))
    };
    insta::assert_snapshot!([80, 60].map(text).join("\n"));
}

#[test]
fn groups_are_limited_without_a_screen_too() {
    let look = many_groups();
    let text = |limit| {
        let snapshot = snapshot(look.clone());
        plain(&render(&snapshot, limit, false, &Page::UNLIMITED))
    };
    let short = text(Limit::Screen);
    assert!(short.contains("… 149 more groups: --all"), "{short}");
    assert!(text(Limit::None).lines().count() > 400);
}

#[test]
fn hostile_names_do_not_reach_the_terminal() {
    let mut look = busy_look();
    fixtures::call_holders(&mut look, "\x1b]0;owned\x07\u{9b}2J\n");
    let text = render(&snapshot(look), Limit::None, false, &Page::UNLIMITED);
    let hostile = |c: char| c.is_control() && c != '\n';
    let text = plain(&text);
    assert!(!text.contains(hostile), "{text:?}");
    assert_eq!(text.lines().count(), 1 + 1 + 3 + 1 + 5, "{text}");
}

/// A word that begins with a mark of something left out is part of a name; nothing else is shortened.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '(', ')', ',', ';'])
        .filter(|word| !word.is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No line is wider than the terminal, a screen is not exceeded, and what stands there is whole: each number with
    /// a port or a pid is one that exists.
    #[test]
    fn nothing_is_wider_and_no_figure_is_shortened(
        width in 40_usize..220,
        height in 12_usize..60,
        ascii in any::<bool>(),
        comm in "[a-zé漢]{1,15}",
        pid in 1_u32..4_194_304,
        port in 1_u16..,
        count in 1_usize..40,
        judged in 0..4,
    ) {
        let mut look = busy_look();
        fixtures::call_holders(&mut look, &comm);
        let template = look.listed[0].clone();
        let more = (0..count).map(|index| {
            let mut one = template.clone();
            one.cookie = Some(1000 + index as u64);
            one.local = fixtures::end("2001:db8:aaaa:bbbb:cccc:dddd:eeee:ff01", port);
            one.remote = fixtures::end("2001:db8::7", 1 + index as u16);
            one
        });
        look.listed.extend(more);
        look.caveats = vec![Caveat::UnknownHolders(comm.repeat(30))];
        let mut snapshot = snapshot(look);
        let all = everything(&snapshot);
        for group in &mut snapshot.groups {
            group.diagnosis = match judged {
                0 => None,
                1 => Some(Box::new(untold())),
                2 => Some(Box::new(idle_or_leased())),
                _ => Some(Box::new(all.clone())),
            };
            if let Some(owner) = &mut group.owner {
                owner.pid = pid;
            }
        }
        add_residue(&mut snapshot, &comm);
        let page = Page { ascii, ..page(width, height) };
        let text = on(&snapshot, &page);
        prop_assert!(text.lines().count() < height, "{}", text);
        for line in text.lines() {
            prop_assert!(line.width() <= width, "{width}: {line}");
        }
        prop_assert!(!ascii || text.is_ascii(), "{}", text);
        // The first group and how many are stuck are on every screen.
        let first = text.lines().next().unwrap_or_default();
        prop_assert!(first.starts_with(&snapshot.stuck().to_string()), "{}", text);
        let pids: Vec<_> = words(&text)
            .filter_map(|word| word.split_once('[')?.1.strip_suffix(']'))
            .filter_map(|number| number.parse::<u32>().ok())
            .collect();
        let known = |number: &u32| {
            *number == pid || snapshot.processes.contains_key(number) || *number == 16062
                || snapshot.sockets.iter().any(|socket| {
                    let holders = socket.holders.iter().flatten();
                    holders.chain(socket.listener.iter().flat_map(|one| one.holders.iter().flatten()))
                        .any(|holder| holder.pid == *number)
                })
        };
        prop_assert!(pids.iter().all(known), "{pids:?}: {text}");
    }
}
