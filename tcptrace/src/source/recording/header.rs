//! The first line of a recording, or of a part of it.

use crate::{
    model::{
        log_line::{FilterFields, HeaderFields},
        recording::{CgroupsFrom, RecordingHeader},
        request::{Filters, LogFilters, Netns},
        socket::Family,
    },
    source::recording::values::{moment, named, short, state},
};

/// More than a version or a name of a file has.
const LONGEST_TEXT: usize = 256;
/// A path of a command line; each byte that is not UTF-8 is written as three.
const LONGEST_PATH: usize = 3 * 4096;
/// More values than a command line has of one filter.
const MOST_VALUES: usize = 4096;

/// Reads the line.
///
/// # Errors
/// Says why the line is not a header. The text may quote the line: it is not yet fit for a
/// terminal.
pub fn read(line: &str) -> Result<RecordingHeader, String> {
    let fields: HeaderFields = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let texts = [
        ("version", Some(&fields.version)),
        ("kernel", Some(&fields.kernel)),
        ("boot_id", fields.boot_id.as_ref()),
    ];
    for (field, text) in texts {
        text.map_or(Ok(()), |text| short(field, text, LONGEST_TEXT))?;
    }
    // 255 bytes, each of which may be shown as three.
    let mut names = fields.netns.iter();
    names.try_for_each(|netns| short("netns", &netns.name, 3 * LONGEST_TEXT))?;
    let (time, monotonic_ns) = moment(Some(&fields.time), Some(fields.monotonic_ns))?;
    Ok(RecordingHeader {
        version: fields.version,
        kernel: fields.kernel,
        boot_id: fields.boot_id,
        filters: filters(fields.filters)?,
        cgroups_from: named(
            "cgroups_from",
            fields.cgroups_from.as_deref(),
            CgroupsFrom::from_name,
        )?,
        netns: fields.netns,
        time,
        monotonic_ns,
    })
}

fn filters(fields: FilterFields) -> Result<LogFilters, String> {
    let lengths = [
        fields.pid.len(),
        fields.comm.len(),
        fields.port.len(),
        fields.remote.len(),
        fields.state.len(),
    ];
    if lengths.into_iter().any(|length| length > MOST_VALUES) {
        return Err(format!("more than {MOST_VALUES} values of a filter"));
    }
    let mut comms = fields.comm.iter();
    comms.try_for_each(|comm| short("comm", comm, LONGEST_TEXT))?;
    (fields.cgroup.as_ref()).map_or(Ok(()), |path| short("cgroup", path, LONGEST_PATH))?;
    if let Some(Netns::Name(name)) = &fields.netns {
        short("netns", name, LONGEST_PATH)?;
    }
    let range = |text: &String| {
        let range = text.parse();
        range.map_err(|error| format!("`remote` {text}: {error}"))
    };
    let states = fields.state.iter().map(|name| state("state", Some(name)));
    Ok(LogFilters {
        sockets: Filters {
            pids: fields.pid,
            comms: fields.comm,
            ports: fields.port,
            remotes: fields.remote.iter().map(range).collect::<Result<_, _>>()?,
            netns: fields.netns,
            cgroup: fields.cgroup,
            family: named("family", fields.family.as_deref(), Family::from_name)?,
        },
        children: fields.children,
        states: states.collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use tcptrace_common::TcpState;

    use super::*;

    /// The example of `docs/json.md`.
    fn documented() -> String {
        let docs = include_str!("../../../../docs/json.md");
        let start = docs.find(r#"{"schema": "tcptrace.recording/1""#);
        let example = &docs[start.expect("the example is there")..];
        example[..example.find("```").expect("it ends")].replace('\n', " ")
    }

    #[test]
    fn the_documented_line_is_read() {
        let header = read(&documented()).expect("it is a header");
        let boot_id = "8f5b2c1e-0d3a-4c58-9b7e-2a6f1d0c9e84";
        assert_eq!(header.boot_id.as_deref(), Some(boot_id));
        assert_eq!(header.kernel, "6.1.0-18-amd64");
        assert_eq!(header.monotonic_ns, 3_102_023_951_396);
        assert_eq!(header.inode_of("blue"), Some(4_026_532_301));
        assert_eq!(header.inode_of("green"), None);
        assert_eq!(header.cgroups_from, Some(CgroupsFrom::Machine));
        let earlier = documented().replace(r#""cgroups_from": "machine","#, "");
        let earlier = read(&earlier).expect("it is a header of an earlier version");
        assert_eq!(earlier.cgroups_from, None);
        let filters = LogFilters {
            sockets: Filters {
                pids: vec![4242],
                remotes: vec!["10.0.0.0/8".parse().expect("a valid range")],
                netns: Some(Netns::Name("blue".into())),
                ..Filters::default()
            },
            children: true,
            states: vec![TcpState::CloseWait],
        };
        assert_eq!(header.filters, filters);
    }

    #[test]
    fn all_filters_may_be_missing_and_none_may_be_misunderstood() {
        let with = |filters: &str| {
            let line = documented();
            let start = line.find("{\"pid\"").expect("it has filters");
            let end = start + line[start..].find('}').expect("they end") + 1;
            read(&format!("{}{filters}{}", &line[..start], &line[end..]))
        };
        let filters = |text: &str| with(text).map(|header| header.filters);
        assert_eq!(filters("{}"), Ok(LogFilters::default()));
        let netns = |text: &str| filters(text).map(|filters| filters.sockets.netns);
        assert_eq!(netns(r#"{"netns":7}"#), Ok(Some(Netns::Inode(7))));
        for bad in [
            r#"{"role":"client"}"#,
            r#"{"family":"ipx"}"#,
            r#"{"state":["OPEN"]}"#,
            r#"{"remote":["10.0.0.0/99"]}"#,
            r#"{"port":[65536]}"#,
            "null",
        ] {
            assert!(with(bad).is_err(), "{bad}");
        }
    }
}
