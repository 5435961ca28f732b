//! Recordings that are larger than what may be kept of them: the memory is bounded, and what it has no room for is
//! counted.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};

use super::{err, file, out, waiting, with};

/// More than a recording may take, and less than what these would.
const MOST_KIB: u32 = 430_000;
const LINES: u64 = 100_000;

/// A recording of less than a megabyte, of sockets that are all in `CLOSE_WAIT`.
fn small_file() -> PathBuf {
    let path = file("bounded", "log.jsonl.zst", b"");
    let made = File::create(&path).expect("the target folder can be written");
    let mut encoder = zstd::Encoder::new(made, 3).expect("memory");
    let group = format!("/{}", "x".repeat(4000));
    let line = with(&waiting(10, 1, "java"), "cgroup", json!(group));
    let (before, after) = line.split_once("\"cookie\":1,").expect("it has a cookie");
    for cookie in 1..=LINES {
        write!(encoder, "{before}\"cookie\":{cookie},{after}").expect("a file");
    }
    encoder.finish().expect("a file");
    path
}

fn replay(path: &Path, words: &[&str]) -> Output {
    let limited = format!("ulimit -v {MOST_KIB}; exec \"$0\" replay \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &limited, env!("CARGO_BIN_EXE_tcptrace")]);
    command
        .arg(path)
        .args(words)
        .output()
        .expect("the program runs")
}

#[test]
fn a_small_file_cannot_take_all_memory() {
    let path = small_file();
    assert!(path.metadata().expect("it is there").len() < 1 << 20);
    let output = replay(
        &path,
        &["hist", "--all-states", "--by", "cgroup,pid", "--json"],
    );
    assert!(output.status.success(), "{}", err(&output));
    let report: Value = serde_json::from_str(&out(&output)).expect("one report");
    let caveats = report["caveats"].as_array().expect("a list");
    let unkept = caveats.iter().find(|one| one["caveat"] == "not_kept");
    let unkept = unkept
        .and_then(|one| one["count"].as_u64())
        .expect("some found no room");
    let kept = report["histograms"][0]["so_far"]["exact"]["count"].as_u64();
    let kept = kept.expect("some did");
    assert_eq!(kept + unkept, LINES);

    let output = replay(&path, &["stuck", "--older-than", "0s"]);
    assert!(output.status.success(), "{}", err(&output));
    let said = format!(
        "up to {} more sockets were in CLOSE_WAIT",
        LINES - stuck(&out(&output))
    );
    assert!(out(&output).contains(&said), "{}", out(&output));
}

/// How many the headline counts.
fn stuck(text: &str) -> u64 {
    let number = text.split(' ').next().expect("a headline");
    number.parse().expect("a number")
}

/// What no log writes is damage, and is not kept.
#[test]
fn fields_that_are_too_long_are_damage() {
    let line = waiting(10, 1, "java");
    let candidates: Vec<_> = (1..5000)
        .map(|pid| json!({"pid": pid, "comm": "x"}))
        .collect();
    let long = "x".repeat(100_000);
    for (field, value) in [
        ("comm", json!(long)),
        ("cgroup", json!(long)),
        ("caller", json!({"pid": 1, "tid": 1, "comm": long})),
        ("holders", json!([{"pid": 1, "comm": long, "fd": 3}])),
        ("candidates", json!(candidates)),
    ] {
        let text = waiting(5, 2, "java") + &with(&line, field, value);
        let path = file("bounded", field, text.as_bytes());
        let output = super::replay(&path, &["stuck", "--older-than", "0s"]);
        let text = out(&output);
        assert!(text.contains("line 2 is damaged"), "{field}: {text}");
        assert!(text.len() < 2000, "{field}: {text}");
    }
}
