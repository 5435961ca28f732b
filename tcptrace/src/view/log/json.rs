//! JSON Lines, as the section "A log" of `docs/json.md` describes them. Written by hand into one
//! buffer: no line needs memory of its own.

use std::time::SystemTime;

use tcptrace_common::TcpState;

use crate::{
    model::{
        names::UNKNOWN,
        socket::{Endpoint, Holder},
        transition::{Identity, Loss, Owner, Process, Record, StillOpen, Transition},
    },
    view::{
        Page, View,
        parts::{escaping, put, stamp::Stamp},
    },
};

/// Makes lines of JSON.
#[derive(Debug, Default)]
pub struct Json {
    stamp: Stamp,
}

impl View<Record> for Json {
    fn show(&mut self, record: &Record, _: &Page, out: &mut Vec<u8>) {
        match record {
            Record::Transition(transition) => self.transition(transition, out),
            Record::StillOpen(still) => self.still_open(still, out),
            Record::Loss(loss) => self.loss(loss, out),
        }
        out.extend_from_slice(b"}\n");
    }

    fn is_for_programs(&self) -> bool {
        true
    }
}

impl Json {
    fn transition(&mut self, transition: &Transition, out: &mut Vec<u8>) {
        self.begin("transition", transition.time, transition.monotonic_ns, out);
        state(out, r#","from":"#, transition.from);
        state(out, r#","to":"#, transition.to);
        let duration = transition.duration.known();
        number(out, r#","duration_ns":"#, duration.map(|(ns, _)| ns));
        let precision = duration.map_or(UNKNOWN, |(_, precision)| precision.name());
        word(out, r#","duration":"#, precision);
        identity(&transition.socket, out);
        owner(transition.owner.as_ref(), out);
        caller(transition.caller.as_ref(), out);
    }

    fn still_open(&mut self, still: &StillOpen, out: &mut Vec<u8>) {
        self.begin("open", still.time, still.monotonic_ns, out);
        state(out, r#","state":"#, still.state);
        number(out, r#","age_ns":"#, Some(still.age_ns()));
        word(out, r#","age":"#, still.since.precision().name());
        identity(&still.socket, out);
        owner(still.owner.as_ref(), out);
        holders(still.holders.as_deref(), out);
    }

    fn loss(&mut self, loss: &Loss, out: &mut Vec<u8>) {
        self.begin("lost", loss.time, loss.monotonic_ns, out);
        number(out, r#","transitions":"#, Some(loss.transitions));
        number(out, r#","sockets":"#, Some(loss.sockets));
        number(out, r#","runs":"#, Some(loss.runs));
    }

    fn begin(&mut self, kind: &str, time: SystemTime, monotonic_ns: u64, out: &mut Vec<u8>) {
        let (second, ns) = self.stamp.at(time);
        out.extend_from_slice(b"{\"schema\":\"tcptrace.");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"/1\",\"time\":\"");
        out.extend_from_slice(second.as_bytes());
        out.push(b'.');
        put::digits(out, 9, ns);
        out.extend_from_slice(b"Z\"");
        number(out, r#","monotonic_ns":"#, Some(monotonic_ns));
    }
}

fn identity(socket: &Identity, out: &mut Vec<u8>) {
    word(out, r#","family":"#, socket.family.name());
    endpoint(out, r#","local":"#, socket.local);
    endpoint(out, r#","remote":"#, socket.remote);
    number(out, r#","netns":"#, socket.netns);
    number(out, r#","cookie":"#, socket.cookie);
    word(out, r#","protocol":"#, socket.protocol.name());
    word(out, r#","role":"#, socket.role.name());
}

fn owner(owner: Option<&Owner>, out: &mut Vec<u8>) {
    let Some(owner) = owner else {
        out.extend_from_slice(
            b",\"pid\":null,\"comm\":null,\"owner\":\"unknown\",\"tid\":null,\
              \"started_ns\":null,\"cgroup\":null",
        );
        return;
    };
    let process = &owner.process;
    number(out, r#","pid":"#, Some(process.pid));
    key(out, r#","comm":"#);
    escaping::append(out, &process.comm);
    word(out, r#","owner":"#, owner.known_by.name());
    number(out, r#","tid":"#, process.tid);
    number(out, r#","started_ns":"#, process.started_ns);
    key(out, r#","cgroup":"#);
    match &owner.cgroup {
        Some(path) => escaping::append(out, path),
        None => out.extend_from_slice(b"null"),
    }
}

fn caller(caller: Option<&Process>, out: &mut Vec<u8>) {
    key(out, r#","caller":"#);
    let Some(caller) = caller else {
        return out.extend_from_slice(b"null");
    };
    out.extend_from_slice(b"{\"pid\":");
    put::number(out, caller.pid);
    number(out, r#","tid":"#, caller.tid);
    key(out, r#","comm":"#);
    escaping::append(out, &caller.comm);
    out.push(b'}');
}

fn holders(holders: Option<&[Holder]>, out: &mut Vec<u8>) {
    key(out, r#","holders":"#);
    let Some(holders) = holders else {
        return out.extend_from_slice(b"null");
    };
    out.push(b'[');
    for (index, holder) in holders.iter().enumerate() {
        let open: &[u8] = if index == 0 { b"{" } else { b",{" };
        out.extend_from_slice(open);
        out.extend_from_slice(b"\"pid\":");
        put::number(out, holder.pid);
        key(out, r#","comm":"#);
        escaping::append(out, &holder.comm);
        number(out, r#","fd":"#, Some(holder.fd));
        out.push(b'}');
    }
    out.push(b']');
}

fn endpoint(out: &mut Vec<u8>, name: &'static str, end: Endpoint) {
    key(out, name);
    out.extend_from_slice(b"{\"address\":\"");
    put::address(out, end.address);
    out.push(b'"');
    number(out, r#","port":"#, Some(end.port).filter(|port| *port != 0));
    out.push(b'}');
}

/// A member's name; one piece with the characters around it, which is faster than three.
#[inline]
fn key(out: &mut Vec<u8>, name: &'static str) {
    out.extend_from_slice(name.as_bytes());
}

#[inline]
fn number(out: &mut Vec<u8>, name: &'static str, value: Option<impl itoa::Integer>) {
    key(out, name);
    match value {
        Some(value) => put::number(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

/// A text that needs no escapes.
#[inline]
fn word(out: &mut Vec<u8>, name: &'static str, value: &str) {
    key(out, name);
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

fn state(out: &mut Vec<u8>, name: &'static str, state: TcpState) {
    word(out, name, state.name());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{model::transition::Spent, view::log::fixtures};

    fn line(record: &Record) -> String {
        let mut out = Vec::new();
        Json::default().show(record, &Page::UNLIMITED, &mut out);
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    fn value(record: &Record) -> Value {
        serde_json::from_str(&line(record)).expect("it is JSON")
    }

    #[test]
    fn every_kind_of_record_has_its_schema() {
        let lines: String = fixtures::all().iter().map(line).collect();
        insta::assert_snapshot!(lines);
    }

    #[test]
    fn a_transition_reads_back_as_documented() {
        let expected = json!({
            "schema": "tcptrace.transition/1",
            "time": "2026-11-23T01:20:04.120612547Z", "monotonic_ns": 3_102_023_951_396_u64,
            "from": "ESTABLISHED", "to": "CLOSE_WAIT",
            "duration_ns": 2_000_110, "duration": "exact",
            "family": "ipv4",
            "local": {"address": "10.0.0.1", "port": 41234},
            "remote": {"address": "10.0.0.7", "port": 443},
            "netns": 4_026_531_833_u32, "cookie": 77, "protocol": "tcp", "role": "client",
            "pid": 4242, "comm": "java", "owner": "connect", "tid": 4250,
            "started_ns": 81_230_000_000_u64, "cgroup": "/system.slice/app.service",
            "caller": null,
        });
        assert_eq!(value(&Record::Transition(fixtures::transition())), expected);
    }

    #[test]
    fn what_is_not_known_is_null() {
        let mut transition = fixtures::transition();
        transition.duration = Spent::Unknown;
        transition.owner = None;
        transition.socket.local.port = 0;
        transition.socket.netns = None;
        let value = value(&Record::Transition(transition));
        for field in ["duration_ns", "pid", "comm", "tid", "started_ns", "cgroup"] {
            assert!(value[field].is_null(), "{field}");
        }
        assert!(value["local"]["port"].is_null());
        assert!(value["netns"].is_null());
        assert_eq!(value["owner"], "unknown");
        assert_eq!(value["duration"], "unknown");
    }

    proptest! {
        #[test]
        fn any_name_makes_one_valid_line(name in "\\PC*|[\\x00-\\x{ff}\"\\\\]*") {
            let mut transition = fixtures::transition();
            let owner = transition.owner.as_mut().expect("it has one");
            owner.process.comm = name.as_str().into();
            owner.cgroup = Some(name.as_str().into());
            transition.caller = Some(owner.process.clone());
            let line = line(&Record::Transition(transition));
            let line = line.strip_suffix('\n').expect("it has an end");
            prop_assert!(!line.contains(char::is_control), "{line}");
            let value: Value = serde_json::from_str(line).expect("it is JSON");
            prop_assert_eq!(&value["comm"], &name);
            prop_assert_eq!(&value["cgroup"], &name);
            prop_assert_eq!(&value["caller"]["comm"], &name);
        }
    }
}
