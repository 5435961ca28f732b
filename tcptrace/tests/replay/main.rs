//! Tests calls of `tcptrace replay`: files, exit codes, standard output and standard error.

#![allow(missing_docs)]

mod absent;
mod bounded;
mod explain;
mod header;
mod hostile;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

const SECOND: u64 = 1_000_000_000;

/// Makes a folder for the test and a file in it.
fn file(test: &str, name: &str, content: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("replay")
        .join(test);
    fs::create_dir_all(&folder).expect("the target folder can be written");
    let path = folder.join(name);
    fs::write(&path, content).expect("the target folder can be written");
    path
}

fn replay(file: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcptrace"));
    command.arg("replay").arg(file).args(arguments);
    command.env("LC_ALL", "C.UTF-8");
    command.output().expect("the program runs")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("it writes UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("it writes UTF-8")
}

/// The only line of a run that succeeded.
fn stuck(output: &Output) -> Value {
    assert!(output.status.success(), "{}", err(output));
    let text = out(output);
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).expect("it is JSON")
}

fn ports(stuck: &Value) -> Vec<u64> {
    let sockets = stuck["sockets"].as_array().expect("it is a list");
    let port = |socket: &Value| socket["local"]["port"].as_u64();
    sockets.iter().filter_map(port).collect()
}

fn time(at: u64) -> String {
    format!("2026-11-23T01:{:02}:{:02}Z", at / 60, at % 60)
}

/// A transition of the socket with this port, at this number of seconds.
fn seen(at: u64, port: u16, from: &str, to: &str, comm: &str) -> String {
    json!({
        "schema": "tcptrace.transition/1", "time": time(at), "monotonic_ns": at * SECOND,
        "from": from, "to": to, "duration": "unknown", "duration_ns": null, "family": "ipv4",
        "local": {"address": "10.0.0.1", "port": port},
        "remote": {"address": "10.0.0.7", "port": 443},
        "netns": 4_026_531_833_u32, "cookie": port, "protocol": "tcp", "role": "client",
        "pid": 4242, "comm": comm, "owner": "connect", "tid": 4250, "started_ns": 5,
        "cgroup": "/system.slice/app.service", "caller": null,
    })
    .to_string()
        + "\n"
}

fn waiting(at: u64, port: u16, comm: &str) -> String {
    seen(at, port, "ESTABLISHED", "CLOSE_WAIT", comm)
}

fn lost(at: u64) -> String {
    let line = json!({"schema": "tcptrace.lost/1", "time": time(at), "monotonic_ns": at * SECOND,
        "transitions": 3, "sockets": 2, "runs": 1});
    format!("{line}\n")
}

/// At 100 s: one socket for 90 s, one for 50 s, one for 5 s, and one that has left.
fn good() -> String {
    [
        waiting(10, 1, "java"),
        waiting(20, 2, "curl"),
        waiting(50, 3, "curl"),
        seen(60, 2, "CLOSE_WAIT", "LAST_ACK", "curl"),
        seen(61, 2, "LAST_ACK", "CLOSE", "curl"),
        waiting(95, 4, "curl"),
        seen(100, 5, "CLOSE", "SYN_SENT", "curl"),
    ]
    .concat()
}

/// The transition with another field.
fn with(line: &str, field: &str, value: Value) -> String {
    let mut line: Value = serde_json::from_str(line).expect("it is JSON");
    line[field] = value;
    format!("{line}\n")
}

#[test]
fn what_a_reset_ended_stands_apart() {
    let reset = |at, port| seen(at, port, "CLOSE_WAIT", "CLOSE", "java");
    let lines = [
        waiting(10, 1, "java"),
        waiting(10, 2, "java"),
        waiting(10, 3, "java"),
        waiting(10, 4, "java"),
        seen(11, 1, "CLOSE_WAIT", "LAST_ACK", "java"),
        with(&reset(12, 2), "still_open", json!(true)),
        with(&reset(13, 3), "ended", json!("reset")),
        // Of an earlier version.
        reset(14, 4),
    ];
    let path = file("ends", "log.jsonl", lines.concat().as_bytes());
    let output = replay(&path, &["hist", "--json"]);
    let line: Value = serde_json::from_str(&out(&output)).expect("one report");
    assert_eq!(
        line["histograms"][0]["ended"],
        json!({"closed": 1, "reset": 1, "reset_still_open": 1, "to_remainder": 0, "unknown": 1})
    );
    let text = out(&replay(&path, &["hist"]));
    for words in [
        "1 reset, still open (residue)",
        "1 reset, open in no process",
        "1 ended, not known how",
    ] {
        assert!(text.contains(words), "{text}");
    }
    let text = out(&replay(&path, &["log"]));
    let residue: Vec<_> = text
        .lines()
        .filter(|line| line.ends_with("  residue"))
        .collect();
    assert!(
        matches!(residue[..], [one] if one.contains("10.0.0.1:2 ")),
        "{text}"
    );
    let log = out(&replay(&path, &["log", "--json"]));
    assert_eq!(log.matches("\"still_open\":true").count(), 1, "{log}");
    assert_eq!(
        ports(&stuck(&replay(&path, &["stuck", "--json"]))),
        [0u64; 0]
    );
}

#[test]
fn what_was_stuck_at_the_end_is_shown() {
    let path = file("good", "log.jsonl", good().as_bytes());
    let line = stuck(&replay(&path, &["stuck", "--json"]));
    assert_eq!(ports(&line), [1, 3]);
    assert_eq!(
        (&line["younger"], &line["monotonic_ns"]),
        (&json!(1), &json!(100 * SECOND))
    );
    assert_eq!(line["time"], "2026-11-23T01:01:40.000000000Z");
    let first = &line["sockets"][0];
    assert_eq!(
        (&first["age_ns"], &first["age"]),
        (&json!(90 * SECOND), &json!("exact"))
    );
    assert_eq!(
        first["opener"],
        json!({"pid": 4242, "comm": "java", "known_by": "connect"})
    );
    assert!(first["holders"].is_null() && first["recv_queue"].is_null());
    assert_eq!(line["groups"][0]["comm"], "java");
    assert_eq!(
        line["tracing"],
        json!({"hook": null, "transitions": 5, "lost": 0, "recursion_misses": 0})
    );
    assert_eq!(line["notes"], json!([]));

    let text = replay(&path, &[]);
    assert!(text.status.success());
    assert!(out(&text).contains("2 sockets stuck in CLOSE_WAIT for 30s or longer; 1 younger"));
    assert!(
        out(&text).contains("opened by java[4242]"),
        "{}",
        out(&text)
    );
    assert_eq!(err(&text), "");
}

#[test]
fn filters_and_thresholds_apply() {
    let path = file("filters", "log.jsonl", good().as_bytes());
    let cases: [(&[&str], &[u64]); 8] = [
        (&["--older-than", "0s"], &[1, 3, 4]),
        (&["--comm", "curl"], &[3]),
        (&["--pid", "1"], &[]),
        (&["--port", "3"], &[3]),
        (&["--remote", "10.0.0.0/8"], &[1, 3]),
        (&["--cgroup", "/system.slice"], &[1, 3]),
        (&["--family", "ipv6"], &[]),
        (&["--state", "SYN_SENT", "--older-than", "0s"], &[5]),
    ];
    for (filter, expected) in cases {
        let arguments = [&["stuck", "--json"], filter].concat();
        assert_eq!(
            ports(&stuck(&replay(&path, &arguments))),
            expected,
            "{filter:?}"
        );
    }
    let lines = |filter: &[&str]| {
        out(&replay(&path, &[&["log", "--json"], filter].concat()))
            .lines()
            .count()
    };
    assert_eq!(lines(&[]), 7);
    assert_eq!(lines(&["--comm", "java"]), 1);
    assert_eq!(lines(&["--state", "LAST_ACK,SYN_SENT"]), 3);
}

#[test]
fn it_is_read_from_standard_input_and_compressed() {
    let packed = zstd::encode_all(good().as_bytes(), 3).expect("memory takes it");
    let path = file("compressed", "log.jsonl.zst", &packed);
    assert_eq!(ports(&stuck(&replay(&path, &["stuck", "--json"]))), [1, 3]);
    for content in [good().into_bytes(), packed] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tcptrace"))
            .args(["replay", "-", "stuck", "--json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut input = child.stdin.take().expect("it was asked for");
        input.write_all(&content).expect("the program reads");
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(ports(&stuck(&output)), [1, 3]);
    }
}

#[test]
fn damage_is_named_and_what_it_may_have_hidden_is_not_claimed() {
    let text = format!(
        "{}nonsense\n\u{1b}[31m\n{}",
        good(),
        waiting(100, 6, "java")
    );
    let path = file("damaged", "log.jsonl", text.as_bytes());
    let output = replay(&path, &["stuck", "--json", "--older-than", "0s"]);
    let line = stuck(&output);
    assert_eq!(ports(&line), [6]);
    let notes = line["notes"].to_string();
    assert!(
        notes.contains("lines 8 and 9 are damaged and were left out"),
        "{notes}"
    );
    assert!(
        notes.contains("3 more sockets were in CLOSE_WAIT, but may have left"),
        "{notes}"
    );
    assert!(
        err(&output).contains("lines 8 and 9 are damaged"),
        "{}",
        err(&output)
    );
    let log = replay(&path, &["log", "--json"]);
    assert!(err(&log).contains("lines 8 and 9 are damaged"));
    assert_eq!(out(&log).lines().count(), 8);

    // The last line is cut off. That hides nothing.
    let path = file(
        "damaged",
        "cut.jsonl",
        &good().as_bytes()[..good().len() - 20],
    );
    let output = replay(&path, &["stuck"]);
    assert!(out(&output).contains("2 sockets stuck"), "{}", out(&output));
    assert!(
        out(&output).contains("! line 7 is damaged"),
        "{}",
        out(&output)
    );
}

#[test]
fn losses_are_told() {
    let text = waiting(1, 1, "java") + &lost(2) + &waiting(3, 2, "java");
    let path = file("lost", "log.jsonl", text.as_bytes());
    let line = stuck(&replay(&path, &["stuck", "--json", "--older-than", "0s"]));
    assert_eq!(ports(&line), [2]);
    assert_eq!(
        (
            &line["tracing"]["lost"],
            &line["tracing"]["recursion_misses"]
        ),
        (&json!(5), &json!(1))
    );
}

#[test]
fn a_cut_off_stream_is_used_up_to_there() {
    let many: String = (0..20_000_u64)
        .map(|n| waiting(1 + n / 1000, u16::try_from(n).expect("small"), "java"))
        .collect();
    let packed = zstd::encode_all(many.as_bytes(), 1).expect("memory takes it");
    let path = file("cut", "log.jsonl.zst", &packed[..packed.len() / 2]);
    let output = replay(&path, &["stuck", "--older-than", "0s", "--json"]);
    let line = stuck(&output);
    assert!(ports(&line).len() > 1000);
    assert!(err(&output).contains("breaks off"), "{}", err(&output));
}

#[test]
fn the_exit_code_tells_a_script() {
    let path = file("codes", "log.jsonl", good().as_bytes());
    for (words, code) in [
        (&["--fail-over", "1"][..], 3),
        (&["--fail-over", "2"], 0),
        (&["--fail-over", "0", "--comm", "nobody"], 0),
        (&["--fail-over", "1", "-q"], 3),
    ] {
        let output = replay(&path, &[&["stuck"], words].concat());
        assert_eq!(output.status.code(), Some(code), "{words:?}");
        assert_eq!(out(&output).is_empty(), words.contains(&"-q"), "{words:?}");
    }
}

/// A socket from before the recording: both bounds of its age are in it.
#[test]
fn an_age_between_two_bounds_is_recorded() {
    let open = |port: u16, at_most: &str| {
        format!(
            "{{\"schema\":\"tcptrace.open/1\",\"time\":\"2026-11-23T01:01:40.000000000Z\",\"monotonic_ns\":100000000000,\
             \"state\":\"CLOSE_WAIT\",\"age_ns\":2000000000,\"age\":\"at_least\",{at_most}\
             \"family\":\"ipv4\",\"local\":{{\"address\":\"10.0.0.1\",\"port\":{port}}},\
             \"remote\":{{\"address\":\"10.0.0.2\",\"port\":80}},\"netns\":1,\"cookie\":{port}}}\n"
        )
    };
    let log = [
        open(1, "\"age_at_most_ns\":36000000000,"),
        open(2, "\"age_at_most_ns\":29000000000,"),
        open(3, ""),
    ];
    let path = file("bounds", "log.jsonl", log.concat().as_bytes());
    let line = stuck(&replay(&path, &["stuck", "--json"]));
    let counts = ["stuck", "may_be", "younger"].map(|name| line[name].as_u64());
    assert_eq!(counts, [Some(0), Some(2), Some(1)]);
    assert_eq!(ports(&line), [3, 1]);
}

#[test]
fn an_empty_recording_shows_nothing() {
    let path = file("empty", "log.jsonl", b"");
    let line = stuck(&replay(&path, &["stuck", "--json"]));
    assert!(line["time"].is_null() && line["monotonic_ns"].is_null());
    assert_eq!(
        out(&replay(&path, &[])),
        "Nothing stuck in CLOSE_WAIT for 30s or longer\n"
    );
    assert_eq!(out(&replay(&path, &["log", "--json"])), "");
}

#[test]
fn what_is_no_recording_is_an_error_that_helps() {
    for (name, content) in [
        ("text", &b"hello\n"[..]),
        ("bytes", &[0x1f, 0x8b, 8, 0, 0xff]),
        ("stuck", b"{\"schema\":\"tcptrace.stuck/1\"}\n"),
        ("zstd", &[0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff, 0xff]),
        ("version", b"{\"schema\":\"tcptrace.transition/2\"}\n"),
    ] {
        let path = file("no", name, content);
        for view in ["stuck", "log"] {
            let output = replay(&path, &[view]);
            let message = err(&output);
            assert_eq!(output.status.code(), Some(1), "{message}");
            assert!(message.contains("is not a recording"), "{message}");
            assert!(message.contains("tcptrace log --json -o FILE"), "{message}");
            assert_eq!(out(&output), "");
        }
    }
    let output = replay(Path::new("/nonexistent"), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains("opening /nonexistent: No such file"),
        "{}",
        err(&output)
    );
    let output = replay(Path::new("/"), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("Is a directory"), "{}", err(&output));
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let path = file("usage", "log.jsonl", good().as_bytes());
    for arguments in [
        &["stuck", "--state", "OPEN"][..],
        &["stuck", "--older-than", "30"],
        &["stuck", "--once"],
        &["log", "--state", "OPEN"],
        &["other"],
    ] {
        let output = replay(&path, arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            err(&output)
        );
    }
    let bare = Command::new(env!("CARGO_BIN_EXE_tcptrace"))
        .arg("replay")
        .output();
    assert_eq!(bare.expect("the program runs").status.code(), Some(2));
}

#[test]
fn hostile_names_do_not_reach_the_terminal() {
    let comm = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\n";
    let text = good() + &waiting(100, 7, comm) + "{\"schema\":\"\u{9b}2J\"}\n";
    let path = file("hostile", "log\u{1b}[31m.jsonl", text.as_bytes());
    for arguments in [
        &["stuck", "--older-than", "0s"][..],
        &["stuck", "--older-than", "0s", "--json"],
        &["log"],
        &["log", "--json"],
    ] {
        let output = replay(&path, arguments);
        let text = out(&output) + &err(&output);
        let hostile = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(hostile), "{arguments:?}: {text:?}");
    }
    let missing = replay(Path::new("no\u{1b}[31mfile"), &[]);
    assert!(!err(&missing).contains('\u{1b}'), "{}", err(&missing));
}
