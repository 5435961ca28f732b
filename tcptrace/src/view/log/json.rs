//! JSON Lines, as the section "A log" of `docs/json.md` describes them. They are written by hand
//! into one buffer: this takes 0.15 s of CPU time for a million transitions. serde_json takes 0.53
//! s (with addresses, times and plain strings written as here), which is more than the whole budget
//! of `tcptrace log` in user space. The names of fields are in `model::log_line`.

use std::time::SystemTime;

use tcptrace_common::{Ending, TcpState};

use crate::{
    model::{
        log_line::{
            CallerFields, EndFields, Fields, Head, HolderFields, Kind, OpenerFields, UserFields,
        },
        names::UNKNOWN,
        owner::{Holder, KnownBy, Owner, Process},
        socket::{Endpoint, Identity},
        transition::{Loss, Record, StillOpen, Transition},
    },
    view::{
        Page, View,
        parts::{address, escaping, number, stamp::Stamp},
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
        self.begin(
            Kind::Transition,
            transition.time,
            transition.monotonic_ns,
            out,
        );
        state(out, Fields::from, transition.from);
        state(out, Fields::to, transition.to);
        let duration = transition.duration.known();
        number(out, Fields::duration_ns, duration.map(|(ns, _)| ns));
        let precision = duration.map_or(UNKNOWN, |(_, precision)| precision.name());
        word(out, Fields::duration, precision);
        identity(&transition.socket, out);
        owner(transition.owner(), out);
        opener(transition.opener.as_ref(), out);
        user(transition.user.as_ref(), out);
        caller(transition.caller.as_ref(), out);
        ended(transition, out);
    }

    fn still_open(&mut self, still: &StillOpen, out: &mut Vec<u8>) {
        self.begin(Kind::StillOpen, still.time, still.monotonic_ns, out);
        let socket = &still.socket;
        state(out, Fields::state, socket.state);
        number(out, Fields::age_ns, Some(still.age_ns()));
        word(out, Fields::age, socket.since.precision().name());
        let at_most_ns = socket.age_at_most_ns(still.monotonic_ns);
        number(out, Fields::age_at_most_ns, at_most_ns);
        identity(&socket.identity, out);
        let candidates = socket.candidates();
        match &candidates[..] {
            [] => owner(socket.logged_owner(), out),
            _ => one_of_several(socket.cgroup.as_deref(), out),
        }
        processes(Fields::candidates, &candidates, out);
        opener(socket.opener.as_ref(), out);
        user(socket.user.as_ref(), out);
        holders(socket.holders.as_deref(), out);
        if let Some(was_in) = still.residue_of {
            boolean(out, Fields::residue, Some(true));
            state(out, Fields::was_in, was_in);
        }
    }

    fn loss(&mut self, loss: &Loss, out: &mut Vec<u8>) {
        self.begin(Kind::Loss, loss.time, loss.monotonic_ns, out);
        number(out, Fields::transitions, Some(loss.transitions));
        number(out, Fields::sockets, Some(loss.sockets));
        number(out, Fields::runs, Some(loss.runs));
    }

    fn begin(&mut self, kind: Kind, time: SystemTime, monotonic_ns: u64, out: &mut Vec<u8>) {
        let (second, ns) = self.stamp.at(time);
        first(out, Head::schema);
        text(out, kind.name());
        key(out, Fields::time);
        out.push(b'"');
        out.extend_from_slice(second.as_bytes());
        out.push(b'.');
        number::append_padded(out, 9, ns);
        out.extend_from_slice(b"Z\"");
        number(out, Fields::monotonic_ns, Some(monotonic_ns));
    }
}

fn identity(socket: &Identity, out: &mut Vec<u8>) {
    word(out, Fields::family, socket.family.name());
    endpoint(out, Fields::local, socket.local);
    endpoint(out, Fields::remote, socket.remote);
    number(out, Fields::netns, socket.netns);
    number(out, Fields::cookie, socket.cookie);
    word(out, Fields::protocol, socket.protocol.name());
    word(out, Fields::role, socket.role.name());
}

fn owner(owner: Option<&Owner>, out: &mut Vec<u8>) {
    let process = owner.map(|owner| &owner.process);
    number(out, Fields::pid, process.and_then(|process| process.pid));
    string(out, Fields::comm, process.map(|process| &*process.comm));
    let known_by = owner.map_or(UNKNOWN, |owner| owner.known_by.name());
    word(out, Fields::owner, known_by);
    number(out, Fields::tid, process.and_then(|process| process.tid));
    let started_ns = process.and_then(|process| process.started_ns);
    number(out, Fields::started_ns, started_ns);
    let cgroup = owner.and_then(|owner| owner.cgroup.as_deref());
    string(out, Fields::cgroup, cgroup);
}

/// Several processes listen where it waits.
fn one_of_several(cgroup: Option<&str>, out: &mut Vec<u8>) {
    const NOTHING: Option<u32> = None;
    number(out, Fields::pid, NOTHING);
    string(out, Fields::comm, None);
    word(out, Fields::owner, KnownBy::Listener.name());
    number(out, Fields::tid, NOTHING);
    number(out, Fields::started_ns, NOTHING);
    string(out, Fields::cgroup, cgroup);
}

fn processes(name: &'static str, processes: &[(u32, &str)], out: &mut Vec<u8>) {
    key(out, name);
    out.push(b'[');
    for (index, (pid, comm)) in processes.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        first_number(out, UserFields::pid, Some(*pid));
        string(out, UserFields::comm, Some(comm));
        out.push(b'}');
    }
    out.push(b']');
}

/// The process that opened it: a listener is none.
fn opener(opener: Option<&Owner>, out: &mut Vec<u8>) {
    key(out, Fields::opener);
    match opener.filter(|opener| opener.known_by != KnownBy::Listener) {
        None => out.extend_from_slice(b"null"),
        Some(opener) => {
            first_number(out, OpenerFields::pid, opener.process.pid);
            string(out, OpenerFields::comm, Some(&opener.process.comm));
            word(out, OpenerFields::known_by, opener.known_by.name());
            out.push(b'}');
        }
    }
}

fn user(user: Option<&Owner>, out: &mut Vec<u8>) {
    key(out, Fields::user);
    match user {
        None => out.extend_from_slice(b"null"),
        Some(user) => {
            first_number(out, UserFields::pid, user.process.pid);
            string(out, UserFields::comm, Some(&user.process.comm));
            out.push(b'}');
        }
    }
}

fn caller(caller: Option<&Process>, out: &mut Vec<u8>) {
    key(out, Fields::caller);
    let Some(caller) = caller else {
        return out.extend_from_slice(b"null");
    };
    first_number(out, CallerFields::pid, caller.pid);
    number(out, CallerFields::tid, caller.tid);
    string(out, CallerFields::comm, Some(&caller.comm));
    out.push(b'}');
}

/// Only of transitions to `CLOSE`: all others have ordinary ends.
fn ended(transition: &Transition, out: &mut Vec<u8>) {
    if transition.to != TcpState::Close {
        return;
    }
    match transition.ending {
        Ending::Unknown => {
            string(out, Fields::ended, None);
            boolean(out, Fields::still_open, None);
        }
        ending => {
            word(out, Fields::ended, ending.name());
            if ending == Ending::ResetStillOpen {
                boolean(out, Fields::still_open, Some(true));
            }
        }
    }
}

fn holders(holders: Option<&[Holder]>, out: &mut Vec<u8>) {
    key(out, Fields::holders);
    let Some(holders) = holders else {
        return out.extend_from_slice(b"null");
    };
    out.push(b'[');
    for (index, holder) in holders.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        first(out, HolderFields::pid);
        number::append(out, holder.pid);
        string(out, HolderFields::comm, Some(&holder.comm));
        number(out, HolderFields::tid, holder.tid);
        number(out, HolderFields::fd, holder.fd);
        string(out, HolderFields::via, Some(holder.via.name()));
        out.push(b'}');
    }
    out.push(b']');
}

fn endpoint(out: &mut Vec<u8>, name: &'static str, end: Endpoint) {
    key(out, name);
    first(out, EndFields::address);
    out.push(b'"');
    address::append(out, end.address);
    out.push(b'"');
    number(
        out,
        EndFields::port,
        Some(end.port).filter(|port| *port != 0),
    );
    out.push(b'}');
}

/// The beginning of an object and the name of its first field.
#[inline]
fn first(out: &mut Vec<u8>, name: &'static str) {
    let start = out.len();
    key(out, name);
    out[start] = b'{'; // replaces the comma
}

/// The same with a number as its value.
fn first_number(out: &mut Vec<u8>, name: &'static str, value: Option<u32>) {
    let start = out.len();
    number(out, name, value);
    out[start] = b'{';
}

/// The name of a later field.
#[inline]
fn key(out: &mut Vec<u8>, name: &'static str) {
    out.extend_from_slice(name.as_bytes());
}

#[inline]
fn number(out: &mut Vec<u8>, name: &'static str, value: Option<impl itoa::Integer>) {
    key(out, name);
    match value {
        Some(value) => number::append(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

#[inline]
fn boolean(out: &mut Vec<u8>, name: &'static str, value: Option<bool>) {
    key(out, name);
    out.extend_from_slice(match value {
        Some(true) => b"true",
        Some(false) => b"false",
        None => b"null",
    });
}

/// A text from the kernel or a process.
#[inline]
fn string(out: &mut Vec<u8>, name: &'static str, value: Option<&str>) {
    key(out, name);
    match value {
        Some(value) => escaping::append(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

#[inline]
fn word(out: &mut Vec<u8>, name: &'static str, value: &str) {
    key(out, name);
    text(out, value);
}

/// A text that needs no escapes.
#[inline]
fn text(out: &mut Vec<u8>, value: &str) {
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
    use crate::{model::transition::StateDuration, view::log::fixtures};

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
            "opener": {"pid": 4242, "comm": "java", "known_by": "connect"}, "user": null,
            "caller": null,
        });
        assert_eq!(value(&Record::Transition(fixtures::transition())), expected);
    }

    #[test]
    fn what_is_not_known_is_null() {
        let mut transition = fixtures::transition();
        transition.duration = StateDuration::Unknown;
        transition.opener = None;
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
            let owner = transition.opener.as_mut().expect("it has one");
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
