//! Lines of a log, good and bad.

use proptest::prelude::*;
use tcptrace_common::{Ending, TcpState};

use crate::{
    model::{
        owner::{KnownBy, Process},
        socket::{Role, Since},
        transition::{Record, StateDuration},
    },
    source::recording::line::{Line, read},
};

fn record(line: &[u8]) -> Result<Option<Record>, String> {
    Ok(match read(line)? {
        Some(Line::Record(record)) => Some(*record),
        Some(Line::Header(_)) | None => None,
    })
}

/// The example of `docs/json.md`.
fn documented() -> String {
    let docs = include_str!("../../../../docs/json.md");
    let start = docs.find(r#"{"schema": "tcptrace.transition/1""#);
    let example = &docs[start.expect("the example is there")..];
    let end = example.find("```").expect("it ends");
    example[..end].replace('\n', " ")
}

const OPEN: &str = r#"{"schema":"tcptrace.open/1","time":"2026-11-23T01:20:04Z","monotonic_ns":9000,
 "state":"CLOSE_WAIT","age_ns":4000,"age":"at_least","family":"ipv6","local":{"address":"::1","port":80},
 "remote":{"address":"::1","port":5},"holders":[{"pid":1,"comm":"a","fd":3}],"new":{"field":[1]}}"#;

#[test]
fn the_documented_line_is_read() {
    let read = record(documented().as_bytes()).expect("it is a line of a log");
    let Some(Record::Transition(seen)) = read else {
        panic!("{read:?}")
    };
    assert_eq!(
        (seen.from, seen.to),
        (TcpState::Established, TcpState::CloseWait)
    );
    assert_eq!(seen.duration, StateDuration::Exact(2_000_110));
    assert_eq!(seen.monotonic_ns, 3_102_023_951_396);
    assert_eq!(seen.socket.cookie, Some(77));
    assert_eq!(seen.socket.role, Role::Client);
    let owner = seen.opener.expect("it is known");
    let Process { pid, tid, .. } = owner.process;
    assert_eq!((pid, tid), (Some(4242), Some(4250)));
    assert_eq!(owner.known_by, KnownBy::Connect);
    assert_eq!(owner.cgroup.as_deref(), Some("/system.slice/app.service"));
    assert_eq!(seen.caller, None);
}

#[test]
fn what_is_missing_is_not_known_and_what_is_new_is_left_out() {
    let Ok(Some(Record::StillOpen(open))) = record(OPEN.as_bytes()) else {
        panic!("it is a line of a log")
    };
    let socket = open.socket;
    assert_eq!(socket.since, Since::AtLatest(5000));
    let owner = socket.logged_owner();
    assert_eq!((socket.identity.cookie, owner), (None, None));
    assert_eq!(socket.holders.map(|holders| holders.len()), Some(1));
    assert_eq!(socket.identity.role, Role::Unknown);
}

#[test]
fn how_it_ended_is_read_or_not_known() {
    let ending = |to: &str, more: &str| -> Option<Ending> {
        let line = documented().replacen("\"CLOSE_WAIT\"", to, 1);
        let line = line.replacen("\"caller\": null", more, 1);
        match record(line.as_bytes()) {
            Ok(Some(Record::Transition(seen))) => Some(seen.ending),
            _ => None,
        }
    };
    let close = |more: &str| ending("\"CLOSE\"", more).expect("it is a line of a log");
    for known in Ending::ALL {
        let more = format!(r#""caller": null, "ended": "{}""#, known.name());
        assert_eq!(close(&more), known);
    }
    let told = r#""caller": null, "still_open": true"#;
    assert_eq!(close(told), Ending::ResetStillOpen);
    let untold = r#""caller": null, "ended": null, "still_open": null"#;
    assert_eq!(close(untold), Ending::Unknown);
    // Recordings of earlier versions.
    assert_eq!(close(r#""caller": null"#), Ending::Unknown);
    assert_eq!(close(r#""caller": {"pid": 7}"#), Ending::Closed);
    let other = ending("\"CLOSE_WAIT\"", r#""caller": null"#);
    assert_eq!(other, Some(Ending::Closed));
    assert_eq!(ending("\"CLOSE\"", r#""ended": "exploded""#), None);
}

#[test]
fn residue_is_read() {
    let line = OPEN.replacen("\"CLOSE_WAIT\"", "\"CLOSE\"", 1);
    let line = line.replacen(
        "\"holders\"",
        r#""residue":true,"was_in":"CLOSE_WAIT","holders""#,
        1,
    );
    let Ok(Some(Record::StillOpen(open))) = record(line.as_bytes()) else {
        panic!("it is a line of a log")
    };
    assert_eq!(open.residue_of, Some(TcpState::CloseWait));
    assert_eq!(open.socket.state, TcpState::Close);
}

#[test]
fn other_kinds_are_passed_over_and_other_versions_refused() {
    assert_eq!(
        record(br#"{"schema":"tcptrace.begin/1","time":3}"#),
        Ok(None)
    );
    assert_eq!(record(br#"{"schema":"tcptrace.stuck/1"}"#), Ok(None));
    for other in [
        "tcptrace.transition/2",
        "tcptrace.open/10",
        "tcptrace.lost/x",
        "tcptrace.recording/2",
        "syslog/1",
    ] {
        let line = format!(r#"{{"schema":"{other}"}}"#);
        let error = record(line.as_bytes()).expect_err(other);
        assert!(error.contains(other), "{error}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let line = documented();
    for (good, bad) in [
        ("\"port\": 443", "\"port\": 65536"),
        ("\"ESTABLISHED\"", "\"OPEN\""),
        ("\"to\": \"CLOSE_WAIT\",", ""),
        ("2026-11-23T", "2026-13-23T"),
        ("10.0.0.7", "10.0.0.777"),
        ("10.0.0.7", "::1"),
        ("3102023951396", "-1"),
        ("3102023951396", "9102023951396000000"),
        ("\"duration_ns\": 2000110", "\"duration_ns\": 3102023951397"),
        ("\"exact\"", "\"unknown\""),
        (
            "\"pid\": 4242, \"comm\": \"java\"",
            "\"pid\": null, \"comm\": null",
        ),
        ("\"connect\"", "\"guess\""),
        ("\"tcp\"", "\"udp\""),
        ("\"client\"", "\"both\""),
        ("\"java\"", "\"\\ud800\""),
        ("{\"schema\"", "[\"schema\""),
    ] {
        assert!(line.contains(good), "{good}");
        let line = line.replacen(good, bad, 1);
        assert!(record(line.as_bytes()).is_err(), "{line}");
    }
    assert!(record(OPEN.replace("4000", "9001").as_bytes()).is_err());
    assert!(record(b"{\"schema\":\"tcptrace.lost/1\",\"x\":\"\xff\"}").is_err());
    let deep = "[".repeat(100_000);
    assert!(record(format!(r#"{{"schema":"tcptrace.lost/1","x":{deep}"#).as_bytes()).is_err());
}

proptest! {
    #[test]
    fn a_damaged_line_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut line = documented().into_bytes();
        for (at, byte) in changes {
            let at = at.index(line.len());
            line[at] = byte;
        }
        let _ = record(&line);
        let length = cut.index(line.len());
        prop_assert!(record(&line[..length.min(line.trim_ascii_end().len() - 1)]).is_err());
    }
}
