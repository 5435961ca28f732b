//! Blocks of groups that are explained.

use crate::{
    fixtures::{busy_look, recorded, snapshot},
    model::{cause::DescriptorUse, request::Explain, stuck::snapshot::Snapshot},
    view::{
        Page,
        stuck::{
            explained::render,
            fixtures::{add_residue, diagnose, everything, idle_or_leased, untold},
        },
    },
};

fn shown(snapshot: &Snapshot, explain: Explain, width: Option<usize>) -> String {
    let page = Page {
        width,
        height: None,
        ascii: false,
    };
    anstream::adapter::strip_str(&render(snapshot, explain, &page)).to_string()
}

#[test]
fn each_group_has_a_block_with_all_that_is_known() {
    let mut snapshot = snapshot(busy_look());
    diagnose(&mut snapshot);
    add_residue(&mut snapshot, "java");
    insta::assert_snapshot!(shown(&snapshot, Explain::All, Some(80)));
}

#[test]
fn two_causes_are_numbered_and_what_is_not_known_is_said() {
    let mut snapshot = snapshot(busy_look());
    snapshot.groups[0].diagnosis = Some(Box::new(idle_or_leased()));
    (
        snapshot.groups[0].keepalive.on,
        snapshot.groups[0].keepalive.off,
    ) = (1, 1);
    let mut untold = untold();
    untold.beside.descriptors = Some(DescriptorUse {
        open: 64,
        limit: 64,
    });
    snapshot.groups[1].diagnosis = Some(Box::new(untold));
    insta::assert_snapshot!(shown(&snapshot, Explain::All, Some(80)));
}

#[test]
fn one_group_may_be_chosen_and_a_pipe_gets_whole_lines() {
    let mut snapshot = snapshot(busy_look());
    diagnose(&mut snapshot);
    insta::assert_snapshot!(shown(&snapshot, Explain::Group(2), None));
    let none = shown(&snapshot, Explain::Group(3), None);
    assert!(
        none.ends_with("--explain=3: there is no group 3: there are 2\n"),
        "{none}"
    );
}

#[test]
fn without_a_diagnosis_it_says_that_nothing_was_asked() {
    let text = shown(&recorded(), Explain::Group(3), Some(80));
    assert!(text.contains("3. nginx[80]: 1 socket on :40004 from 10.0.0.7 stuck in CLOSE_WAIT\n"));
    assert!(
        text.contains("  leak         not asked: only what is in CLOSE_WAIT"),
        "{text}"
    );
}

#[test]
fn no_line_is_wider_than_the_terminal_and_a_screen_is_not_exceeded() {
    use unicode_width::UnicodeWidthStr as _;

    let mut snapshot = snapshot(busy_look());
    let all = everything(&snapshot);
    for group in &mut snapshot.groups {
        group.diagnosis = Some(Box::new(all.clone()));
    }
    add_residue(&mut snapshot, "java");
    snapshot.failed_connects = None;
    for width in 40..120 {
        let text = shown(&snapshot, Explain::All, Some(width));
        let (first, rest) = text.split_once('\n').expect("many lines");
        let wide = rest.lines().find(|line| line.width() > width);
        assert_eq!(wide, None, "{first}");
    }
    diagnose(&mut snapshot);
    for height in 10..80 {
        let page = Page {
            width: Some(80),
            height: Some(height),
            ascii: false,
        };
        let text = render(&snapshot, Explain::All, &page);
        assert!(text.lines().count() < height, "{height}: {text}");
    }
}
