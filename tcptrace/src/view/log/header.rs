//! The first line of a recording, as the section "The first line" of `docs/json.md` describes it.

use crate::{
    model::{
        log_line::{FilterFields, HeaderFields, Kind},
        recording::RecordingHeader,
        request::LogFilters,
    },
    view::parts::{escaping, stamp},
};

/// The line with its line end.
pub fn line(header: &RecordingHeader) -> Vec<u8> {
    let fields = HeaderFields {
        schema: Kind::Header.name().into(),
        version: header.version.clone(),
        kernel: header.kernel.clone(),
        boot_id: header.boot_id.clone(),
        filters: filters(&header.filters),
        cgroups_from: header.cgroups_from.map(|from| from.name().into()),
        netns: header.netns.clone(),
        time: stamp::rfc3339(header.time),
        monotonic_ns: header.monotonic_ns,
    };
    let mut line = Vec::new();
    escaping::line(&mut line, &fields);
    line
}

fn filters(filters: &LogFilters) -> FilterFields {
    let sockets = &filters.sockets;
    FilterFields {
        pid: sockets.pids.clone(),
        children: filters.children,
        comm: sockets.comms.clone(),
        port: sockets.ports.clone(),
        remote: sockets.remotes.iter().map(ToString::to_string).collect(),
        netns: sockets.netns.clone(),
        cgroup: sockets.cgroup.clone(),
        family: sockets.family.map(|family| family.name().into()),
        state: (filters.states.iter())
            .map(|state| state.name().into())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::log::fixtures;

    fn text(header: &RecordingHeader) -> String {
        String::from_utf8(line(header)).expect("JSON is UTF-8")
    }

    #[test]
    fn it_is_one_line_of_the_schema() {
        insta::assert_snapshot!(text(&fixtures::header()), @r#"{"schema":"tcptrace.recording/1","version":"0.1.0","kernel":"6.1.0-18-amd64","boot_id":"8f5b2c1e-0d3a-4c58-9b7e-2a6f1d0c9e84","filters":{"pid":[4242],"children":true,"remote":["10.0.0.0/8"],"netns":"blue","state":["CLOSE_WAIT"]},"cgroups_from":"machine","netns":[{"inode":4026532301,"name":"blue"}],"time":"2026-11-23T01:20:04.120612547Z","monotonic_ns":3102023951396}"#);
    }

    #[test]
    fn it_is_the_documented_one() {
        let docs = include_str!("../../../../docs/json.md");
        let start = docs.find(r#"{"schema": "tcptrace.recording/1""#);
        let example = &docs[start.expect("the example is there")..];
        let example = &example[..example.find("```").expect("it ends")];
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text);
        let documented = value(example).expect("it is JSON");
        assert_eq!(
            value(&text(&fixtures::header())).expect("it is JSON"),
            documented
        );
    }

    #[test]
    fn what_was_not_given_is_left_out_and_hostile_names_are_escaped() {
        let mut header = fixtures::header();
        header.filters = LogFilters::default();
        header.boot_id = None;
        header.netns[0].name = "\u{9b}2J\n".into();
        let line = text(&header);
        assert!(line.contains(r#""boot_id":null,"filters":{},"#), "{line}");
        assert!(!line.trim_end().contains(char::is_control), "{line}");
    }
}
