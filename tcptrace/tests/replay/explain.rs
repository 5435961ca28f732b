//! What is explained at length.

use crate::{err, file, good, out, replay, stuck};

#[test]
fn groups_are_explained_by_their_numbers() {
    let path = file("explain", "log.jsonl", good().as_bytes());
    let all = out(&replay(&path, &["stuck", "--explain"]));
    assert!(all.contains("\n1. java[4242]: "), "{all}");
    assert!(all.contains("\n2. "), "{all}");
    assert!(!all.contains("HELD BY"), "{all}");
    let one = out(&replay(&path, &["stuck", "--explain=2"]));
    assert!(one.contains("\n2. ") && !one.contains("\n1. "), "{one}");
}

#[test]
fn a_group_that_there_is_not_is_a_wrong_command_line() {
    let path = file("explain-none", "log.jsonl", good().as_bytes());
    let output = replay(&path, &["stuck", "--explain=9"]);
    assert_eq!(output.status.code(), Some(2));
    let error = err(&output);
    assert!(
        error.starts_with("tcptrace: --explain 9: ") && error.contains("\n  try: --explain"),
        "{error}"
    );
    assert!(
        error.contains("there is no group 9: there are 2"),
        "{error}"
    );
    for wrong in ["--explain=0", "--explain=x", "--explain="] {
        let output = replay(&path, &["stuck", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
    // JSON has all of it anyway.
    let line = stuck(&replay(&path, &["stuck", "--explain=9", "--json"]));
    assert_eq!(line["groups"].as_array().map(Vec::len), Some(2));
}

/// A recording has neither queues nor byte counts: nothing is guessed, and what would tell is said.
#[test]
fn a_recording_does_not_tell_why() {
    let path = file("explain-why", "log.jsonl", good().as_bytes());
    let line = stuck(&replay(&path, &["stuck", "--json"]));
    for group in line["groups"].as_array().into_iter().flatten() {
        let diagnosis = &group["diagnosis"];
        assert_eq!(diagnosis["leak"], "unknown", "{group}");
        let would_tell = diagnosis["would_tell"].as_array();
        assert!(would_tell.is_some_and(|all| !all.is_empty()), "{group}");
    }
}
