//! All that can be said about causes, in one list.

use crate::{
    fixtures::{busy_look, process, snapshot},
    model::{
        cause::{Cause, CauseName, WouldTell},
        stuck::{look::ProcessInfo, snapshot::Snapshot},
    },
    view::stuck::{
        cause::{
            evidence,
            remedy::{meaning, remedy},
            would_tell::Tell,
        },
        fixtures::{every_evidence, everything, idle_or_leased, starved},
    },
};

#[test]
fn every_piece_of_evidence_has_words_with_its_figures() {
    let snapshot = snapshot(busy_look());
    let all = every_evidence(&snapshot);
    let texts: Vec<_> = all
        .iter()
        .map(|one| evidence::text(one, &snapshot))
        .collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn every_cause_has_a_meaning_and_a_remedy() {
    let snapshot = snapshot(busy_look());
    let none = Default::default();
    let texts = CauseName::ALL.iter().map(|name| {
        let cause = Cause {
            name: *name,
            evidence: Vec::new(),
        };
        let remedy = remedy(&cause, &none, &snapshot);
        format!("{}: {}\n    {remedy}\n", name.name(), meaning(*name))
    });
    let idle = idle_or_leased();
    let starved = starved(&snapshot);
    let known = [
        remedy(&idle.causes[0], &idle, &snapshot),
        remedy(&starved.causes[0], &starved, &snapshot),
        remedy(&everything(&snapshot).causes[3], &none, &snapshot),
    ];
    let texts: String = texts.chain(known.map(|text| text + "\n")).collect();
    insta::assert_snapshot!(texts);
}

#[test]
fn commands_have_the_process_filled_in() {
    let mut snapshot = snapshot(busy_look());
    let all = everything(&snapshot).would_tell;
    let lines = |index: usize, snapshot: &Snapshot| {
        let group = &snapshot.groups[index];
        let lines = all.iter().map(|one| Tell::of(*one, group, snapshot).line());
        lines.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(lines(0, &snapshot));
    // A process that calls itself something else, and two that may be meant.
    let arguments = vec!["/usr/bin/python3".to_owned(), "app.py".to_owned()];
    let renamed = ProcessInfo {
        arguments,
        ..process(1)
    };
    snapshot.processes.insert(80, renamed);
    let dump = |of: &Snapshot| Tell::of(WouldTell::ThreadDump, &of.groups[1], of);
    assert_eq!(dump(&snapshot).commands, ["py-spy dump --pid 80"]);
    let owner = snapshot.groups[1].owner.take().expect("it has one");
    let mut other = owner.clone();
    other.pid = 81;
    snapshot.groups[1].candidates = vec![owner, other];
    assert_eq!(
        dump(&snapshot).commands,
        ["py-spy dump --pid 80", "cat /proc/81/task/*/wchan"]
    );
    assert!(lines(1, &snapshot).contains("tcptrace log --pid 80,81"));
    snapshot.groups[1].candidates.clear();
    assert!(lines(1, &snapshot).contains("opened and used: tcptrace log\n"));
}
