//! Tests the first line of a recording, which describes the recording.

use serde_json::{Value, json};

use crate::{SECOND, err, file, good, out, ports, replay, stuck, time, waiting};

/// The first line of a recording that begins at this number of seconds.
fn header(at: u64, filters: &Value, netns: &[(u32, &str)]) -> String {
    let named = |(inode, name): &(u32, &str)| json!({"inode": inode, "name": name});
    let netns: Vec<_> = netns.iter().map(named).collect();
    let line = json!({"schema": "tcptrace.recording/1", "version": "0.1.0", "kernel": "6.1.0",
        "boot_id": null, "filters": filters, "netns": netns, "time": time(at),
        "monotonic_ns": at * SECOND});
    format!("{line}\n")
}

#[test]
fn a_name_of_a_namespace_is_the_recordings() {
    const BLUE: u32 = 4_026_531_833;
    let text = header(1, &json!({}), &[(BLUE, "blue"), (7, "green")]) + &good();
    let path = file("names", "log.jsonl", text.as_bytes());
    let shown = |netns| {
        let line = stuck(&replay(&path, &["stuck", "--json", "--netns", netns]));
        let name = line["sockets"][0]["netns_name"].clone();
        (ports(&line), name, line["notes"].clone())
    };
    let both = (vec![1, 3], json!("blue"), json!([]));
    assert_eq!(shown("blue"), both);
    assert_eq!(shown("4026531833"), both);
    assert!(shown("green").0.is_empty());
    let log = replay(&path, &["log", "--json", "--netns", "blue"]);
    // The output includes the first line, which then names the filter.
    assert_eq!(out(&log).lines().count(), 8);
    assert!(out(&log).contains(r#""filters":{"netns":"blue"}"#));
    let hist = stuck(&replay(&path, &["hist", "--json", "--netns", "blue"]));
    assert_eq!(hist["histograms"][0]["count"], 0);
    assert_eq!(hist["histograms"][0]["so_far"]["exact"]["count"], 3);
    assert_eq!(out(&replay(&path, &["log", "--json"])).lines().count(), 8);

    let nameless = file("names", "old.jsonl", good().as_bytes());
    let unnamed = header(1, &json!({}), &[]) + &good();
    let unnamed = file("names", "unnamed.jsonl", unnamed.as_bytes());
    for (path, reason) in [
        (
            &path,
            "known names: blue, green\n  try: give its inode number",
        ),
        (&nameless, "the recording has no header"),
        (&unnamed, "no network namespace had a name"),
    ] {
        for view in [&["stuck"][..], &["log"], &["log", "--json"], &["hist"]] {
            let output = replay(path, &[view, &["--netns", "red"]].concat());
            let message = err(&output);
            assert_eq!(output.status.code(), Some(2), "{message}");
            assert_eq!(out(&output), "");
            assert!(
                message.starts_with("tcptrace: --netns red: ") && message.contains("\n  try: "),
                "{message}"
            );
            assert!(message.contains(reason), "{message}");
        }
    }
    assert_eq!(
        ports(&stuck(&replay(
            &nameless,
            &["stuck", "--json", "--netns", "4026531833"]
        ))),
        [1, 3]
    );
}

#[test]
fn a_recording_tells_its_filters() {
    let filters = json!({"state": ["CLOSE_WAIT"], "comm": ["java", "curl"]});
    let text = header(1, &filters, &[]) + &good();
    let path = file("told", "log.jsonl", text.as_bytes());
    let with = "it was recorded with --comm java,curl --state CLOSE_WAIT";
    let line = stuck(&replay(&path, &["stuck", "--json"]));
    assert_eq!(
        (ports(&line), &line["notes"][1]),
        (vec![1, 3], &json!(null))
    );
    let told = |text: &str| assert!(text.contains(with), "{text}");
    told(&line["notes"].to_string());
    told(&out(&replay(&path, &["stuck"])));
    told(&out(&replay(&path, &["hist"])));
    told(&err(&replay(&path, &["log"])));
    let log = out(&replay(&path, &["log", "--json", "--comm", "java"]));
    assert!(
        log.contains(r#""filters":{"comm":["java"],"state":["CLOSE_WAIT"]}"#),
        "{log}"
    );
    // A second recording follows, in which nothing was left out.
    let text = text + &header(101, &json!({}), &[]) + &waiting(102, 8, "perl");
    let path = file("told", "two.jsonl", text.as_bytes());
    let line = stuck(&replay(&path, &["stuck", "--json", "--older-than", "0s"]));
    assert_eq!(ports(&line), [8], "the others may have left in between");
    let notes = line["notes"].to_string();
    assert!(
        notes.contains("--state CLOSE_WAIT and without filters"),
        "{notes}"
    );
    let quiet = file("told", "quiet.jsonl", header(1, &json!({}), &[]).as_bytes());
    assert!(ports(&stuck(&replay(&quiet, &["stuck", "--json"]))).is_empty());
}

#[test]
fn paths_of_control_groups_from_a_namespaces_root_are_said_to_be() {
    let said = "are from the root of the cgroup namespace";
    for (from, is_said) in [(json!("namespace"), true), (json!("machine"), false)] {
        let mut header: Value =
            serde_json::from_str(&header(1, &json!({}), &[])).expect("it is JSON");
        header["cgroups_from"] = from.clone();
        let text = format!("{header}\n{}", good());
        let path = file("header", &format!("{is_said}.jsonl"), text.as_bytes());
        for view in ["stuck --json", "log --json", "hist --json"] {
            let view: Vec<_> = view.split(' ').collect();
            let output = replay(&path, &view);
            assert!(output.status.success(), "{}", err(&output));
            // A log says it beside its lines, and hands the header on.
            let place = match view[0] {
                "log" => err(&output),
                _ => out(&output),
            };
            assert_eq!(place.contains(said), is_said, "{view:?}: {place}");
            let handed_on = out(&output).contains(&format!(r#""cgroups_from":{from}"#));
            assert_eq!(handed_on, view[0] == "log", "{}", out(&output));
        }
    }
}
