//! Filters that name what no record of a recording has.

use crate::{err, file, good, out, ports, replay, stuck};

const VIEWS: [&[&str]; 5] = [
    &["stuck"],
    &["stuck", "--json"],
    &["log"],
    &["log", "--json"],
    &["hist"],
];

#[test]
fn values_that_no_record_has_are_said() {
    let path = file("absent", "log.jsonl", good().as_bytes());
    for (option, value, text) in [
        (
            "--comm",
            "nobody",
            "no process in the recording has the name nobody",
        ),
        ("--pid", "7", "there is no process 7 in the recording"),
        (
            "--netns",
            "7",
            "there is no network namespace 7 in the recording",
        ),
        (
            "--cgroup",
            "/sys/fs/cgroup/no.slice",
            "there is no control group /no.slice in the recording",
        ),
    ] {
        for view in VIEWS {
            let output = replay(&path, &[view, &[option, value]].concat());
            assert!(output.status.success(), "{view:?}: {}", err(&output));
            // Lines of text are wrapped.
            let said = format!("{} {}", out(&output), err(&output)).replace('\n', " ");
            assert!(said.contains(text), "{view:?}: {said}");
        }
    }
}

#[test]
fn of_several_values_those_that_no_record_has_are_named() {
    let path = file("absent", "some.jsonl", good().as_bytes());
    let line = stuck(&replay(
        &path,
        &["stuck", "--json", "--comm", "java,nobody", "--pid", "4242"],
    ));
    assert_eq!(ports(&line), [1]);
    assert_eq!(line["caveats"][0]["caveat"], "no_such_name");
    assert_eq!(line["caveats"][0]["count"], 1);
    assert_eq!(line["caveats"][1], serde_json::Value::Null);
}

#[test]
fn what_is_in_the_recording_and_matches_nothing_at_its_end_is_not_absent() {
    let path = file("absent", "left.jsonl", good().as_bytes());
    for filter in [
        ["--cgroup", "/system.slice"],
        ["--cgroup", "/"],
        ["--netns", "4026531833"],
        ["--pid", "4242"],
        ["--comm", "curl"],
    ] {
        // Nothing has this port.
        let words = [&["stuck", "--json", "--port", "9999"], &filter[..]].concat();
        let line = stuck(&replay(&path, &words));
        assert_eq!(ports(&line), [0; 0]);
        assert_eq!(line["caveats"], serde_json::json!([]), "{filter:?}");
    }
}
