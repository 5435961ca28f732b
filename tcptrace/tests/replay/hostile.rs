//! Names that a terminal would act on, or would not show, in all that a command line and a recording can hold.

use std::{
    ffi::{OsStr, OsString},
    os::unix::{ffi::OsStringExt as _, process::CommandExt as _},
    process::{Command, Output},
};

use serde_json::json;

use super::{SECOND, err, file, good, out, replay, waiting, with};

const NAMES: [&str; 12] = [
    "\u{1b}[2J",
    "a\rb",
    "a\nb",
    "a\u{9b}2J",
    "a\u{ad}b",
    "a\u{61c}b",
    "a\u{180e}b",
    "a\u{200b}b",
    "a\u{202e}b",
    "a\u{2066}b",
    "a\u{feff}b",
    "a\u{e0041}b",
];

/// What a terminal acts on or does not show, among these names.
fn is_hostile(c: char) -> bool {
    NAMES
        .iter()
        .flat_map(|name| name.chars())
        .any(|hostile| hostile == c)
        && !c.is_ascii_graphic()
        && c != '\n'
}

#[track_caller]
fn check(output: &Output, what: &dyn std::fmt::Debug) {
    for text in [out(output), err(output)] {
        assert!(!text.contains(is_hostile), "{what:?}: {text:?}");
    }
}

fn tcptrace(arguments: &[&OsStr]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcptrace"));
    command.args(arguments).env("LC_ALL", "C.UTF-8");
    command.output().expect("the program runs")
}

/// What the error says is that the value or the option is wrong, and which one.
#[test]
fn wrong_command_lines_are_repeated_harmlessly() {
    let options = [
        "stuck --older-than",
        "stuck --state",
        "stuck --limit",
        "stuck --sort",
        "stuck --hook",
        "stuck --pid",
        "stuck --port",
        "stuck --remote",
        "stuck --family",
        "stuck --interval",
        "stuck --max-sockets",
        "states --by",
        "states --top",
        "log --state",
        "log --buffer",
        "log --accept",
        "log --dir x --rotate-size",
        "log --dir x --rotate-size 1MiB --rotate-keep",
        "hist --by",
        "hist --max-keys",
    ];
    for name in NAMES {
        let escaped: String = name
            .chars()
            .flat_map(|c| {
                if is_hostile(c) || c == '\n' {
                    c.escape_default().collect::<Vec<_>>()
                } else {
                    vec![c]
                }
            })
            .collect();
        let mut lines: Vec<Vec<OsString>> = options
            .iter()
            .map(|words| {
                words
                    .split(' ')
                    .map(OsString::from)
                    .chain([name.into()])
                    .collect()
            })
            .collect();
        lines.push(vec![name.into()]);
        lines.push(vec![format!("--{name}").into()]);
        lines.push(vec![format!("--interva{name}").into()]);
        lines.push(vec![
            "stuck".into(),
            format!("--comm=a-name-that-is-longer-{name}").into(),
        ]);
        lines.push(vec!["doctor".into(), name.into()]);
        lines.push(vec!["replay".into(), "-".into(), name.into()]);
        for line in lines {
            let line: Vec<&OsStr> = line.iter().map(AsRef::as_ref).collect();
            let output = tcptrace(&line);
            check(&output, &line);
            assert_eq!(output.status.code(), Some(2), "{line:?}: {}", err(&output));
            assert!(
                err(&output).contains(&escaped),
                "{line:?}: {}",
                err(&output)
            );
        }
    }
    // Not UTF-8.
    let bytes = OsString::from_vec(b"a\x1b[2J\xff\x9b".to_vec());
    for line in [vec!["stuck", "--comm"], vec!["log", "--state"], vec![]] {
        let line: Vec<&OsStr> = line
            .iter()
            .map(OsStr::new)
            .chain([bytes.as_ref()])
            .collect();
        check(&tcptrace(&line), &line);
    }
}

#[test]
fn the_name_by_which_it_is_started_is_not_repeated() {
    for arguments in [
        &["--help"][..],
        &["stuck", "--help"],
        &["--nothing"],
        &["stuck", "--once", "--interval", "2s"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcptrace"));
        let output = command.arg0("a\u{1b}[2J\u{202e}").args(arguments).output();
        check(&output.expect("the program runs"), &arguments);
    }
}

#[test]
fn paths_are_repeated_harmlessly() {
    for name in NAMES {
        let folder = format!("/nonexistent/{name}");
        for line in [
            vec!["replay", &folder],
            vec!["replay", &folder, "hist"],
            vec!["stuck", "--once", "--netns", &folder],
            vec!["stuck", "--once", "--cgroup", &folder],
            vec!["hist", "--cgroup", &folder, "--duration", "1s"],
            vec!["log", "--duration", "0s", "-o", &folder],
        ] {
            let line: Vec<&OsStr> = line.iter().map(OsStr::new).collect();
            let output = tcptrace(&line);
            check(&output, &line);
            assert_ne!(output.status.code(), Some(0), "{line:?}");
            // The name cannot begin a line of the message.
            assert!(!err(&output).contains("\nb"), "{line:?}: {}", err(&output));
        }
    }
}

/// Each field of a recording that is text, and damage that an error quotes.
#[test]
fn recordings_are_shown_harmlessly() {
    for (number, name) in NAMES.iter().enumerate() {
        let process = json!({"pid": 9, "tid": 9, "comm": name, "known_by": name});
        let header = json!({
            "schema": "tcptrace.recording/1", "version": name, "kernel": name, "boot_id": name,
            "filters": {"comm": [name], "cgroup": name, "netns": name},
            "netns": [{"inode": 4_026_531_833_u32, "name": name}],
            "time": "2026-11-23T01:00:00Z", "monotonic_ns": SECOND,
        });
        let seen = waiting(60, 7, name);
        let damaged = [
            "from", "duration", "ended", "family", "protocol", "role", "owner", "time", "schema",
            "cookie", "user",
        ];
        let text = format!("{header}\n")
            + &good()
            + &with(&seen, "cgroup", json!(format!("/{name}")))
            + &with(&with(&seen, "caller", process.clone()), "cookie", json!(8));
        let views = [
            &["stuck", "--older-than", "0s"][..],
            &["log"],
            &["stuck", "--older-than", "0s", "--json"],
            &["log", "--json"],
            &["hist", "--by", "comm,cgroup"],
            &["hist", "--by", "pid,cgroup", "--json"],
            &["stuck", "--netns", "nobody"],
            &["hist", "--netns", name],
        ];
        let path = file("hostile", &number.to_string(), text.as_bytes());
        for words in views {
            check(&replay(&path, words), &(name, words));
        }
        for field in damaged {
            let text = text.clone() + &with(&seen, field, json!(name));
            let path = file("hostile", &format!("{number}-{field}"), text.as_bytes());
            for words in &views[..2] {
                check(&replay(&path, words), &(name, field, words));
            }
        }
    }
}
