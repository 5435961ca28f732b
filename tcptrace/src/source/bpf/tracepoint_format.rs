//! The record layout of the classic tracepoint, from its `format` file
//! (`Documentation/trace/events.rst`). It differs between kernels.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tcptrace_common::TracepointOffsets;

use crate::source::error::StartError;

const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
const EVENTS: &str = "events";
const TRACEPOINT: &str = "sock/inet_sock_set_state";
const DESTROYED: &str = "tcp/tcp_destroy_sock";

/// Why the layout is not known.
#[derive(Debug, PartialEq, Eq)]
pub enum Problem {
    /// No tracefs is mounted.
    NoTracefs,
    /// This may not be read, for this reason.
    Refused(PathBuf, String),
    /// tracefs has no such tracepoint.
    NoTracepoint,
    /// A field is missing or has another size.
    Field(String),
}

impl From<Problem> for StartError {
    fn from(problem: Problem) -> Self {
        let btf_problem = None;
        match problem {
            Problem::NoTracefs => StartError::NoTracefs { btf_problem },
            Problem::Refused(path, reason) => StartError::TracefsRefused {
                path: path.display().to_string(),
                reason,
                btf_problem,
            },
            Problem::NoTracepoint => StartError::NoTracepoint { btf_problem },
            Problem::Field(reason) => StartError::TracepointFormat { reason },
        }
    }
}

/// Reads the layout.
///
/// # Errors
/// A [`Problem`].
pub fn read() -> Result<TracepointOffsets, Problem> {
    parse(&format(TRACEPOINT)?)
}

/// The same, with what `log` and `hist` need from `tcp:tcp_destroy_sock`.
///
/// # Errors
/// A [`Problem`].
pub fn read_for_tracking() -> Result<TracepointOffsets, Problem> {
    Ok(TracepointOffsets {
        destroyed_skaddr: field(&format(DESTROYED)?, "skaddr", &[8])?.0,
        ..read()?
    })
}

fn format(tracepoint: &str) -> Result<String, Problem> {
    let events = events()?;
    let path: &Path = &events.join(tracepoint).join("format");
    fs::read_to_string(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Problem::NoTracepoint,
        io::ErrorKind::PermissionDenied => Problem::Refused(path.to_owned(), error.to_string()),
        _ => Problem::Field(format!("{}: {error}", path.display())),
    })
}

/// The folder of all events.
fn events() -> Result<PathBuf, Problem> {
    let mut problem = Problem::NoTracefs;
    for root in TRACEFS {
        let events = Path::new(root).join(EVENTS);
        match fs::metadata(&events) {
            Ok(found) if found.is_dir() => return Ok(events),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                problem = Problem::Refused(events, error.to_string());
            }
            _ => {}
        }
    }
    Err(problem)
}

/// Offset and size of a field, which must have one of the `sizes`.
fn field(text: &str, name: &str, sizes: &[u32]) -> Result<(u32, u32), Problem> {
    let (offset, size) = text
        .lines()
        .filter_map(field_of_line)
        .find_map(|(found, offset, size)| (found == name).then_some((offset, size)))
        .ok_or_else(|| Problem::Field(format!("it has no field {name}")))?;
    if sizes.contains(&size) {
        Ok((offset, size))
    } else {
        Err(Problem::Field(format!("its field {name} has {size} bytes")))
    }
}

/// Reads lines such as `\tfield:int oldstate;\toffset:16;\tsize:4;\tsigned:1;`.
///
/// # Errors
/// [`Problem::Field`].
pub fn parse(text: &str) -> Result<TracepointOffsets, Problem> {
    let at = |name, size| field(text, name, &[size]).map(|(offset, _)| offset);
    let (protocol, protocol_bytes) = field(text, "protocol", &[1, 2])?;
    Ok(TracepointOffsets {
        skaddr: at("skaddr", 8)?,
        oldstate: at("oldstate", 4)?,
        newstate: at("newstate", 4)?,
        sport: at("sport", 2)?,
        dport: at("dport", 2)?,
        family: at("family", 2)?,
        protocol,
        protocol_bytes,
        saddr: at("saddr", 4)?,
        daddr: at("daddr", 4)?,
        saddr_v6: at("saddr_v6", 16)?,
        daddr_v6: at("daddr_v6", 16)?,
        ..TracepointOffsets::default()
    })
}

/// Name, offset and size.
fn field_of_line(line: &str) -> Option<(&str, u32, u32)> {
    let mut parts = line.trim().split(';').map(str::trim);
    let declaration = parts.next()?.strip_prefix("field:")?;
    // `__u8 saddr[4]`, `const void * skaddr`
    let name = declaration.rsplit([' ', '*']).next()?;
    let name = name.split('[').next()?;
    let offset = parts.next()?.strip_prefix("offset:")?.parse().ok()?;
    let size = parts.next()?.strip_prefix("size:")?.parse().ok()?;
    Some((name, offset, size))
}

#[cfg(test)]
mod tests {
    use super::{Problem, parse};

    const LINUX_6_1: &str = "\
name: inet_sock_set_state
ID: 1391
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:const void * skaddr;\toffset:8;\tsize:8;\tsigned:0;
\tfield:int oldstate;\toffset:16;\tsize:4;\tsigned:1;
\tfield:int newstate;\toffset:20;\tsize:4;\tsigned:1;
\tfield:__u16 sport;\toffset:24;\tsize:2;\tsigned:0;
\tfield:__u16 dport;\toffset:26;\tsize:2;\tsigned:0;
\tfield:__u16 family;\toffset:28;\tsize:2;\tsigned:0;
\tfield:__u16 protocol;\toffset:30;\tsize:2;\tsigned:0;
\tfield:__u8 saddr[4];\toffset:32;\tsize:4;\tsigned:0;
\tfield:__u8 daddr[4];\toffset:36;\tsize:4;\tsigned:0;
\tfield:__u8 saddr_v6[16];\toffset:40;\tsize:16;\tsigned:0;
\tfield:__u8 daddr_v6[16];\toffset:56;\tsize:16;\tsigned:0;

print fmt: \"family=%s protocol=%s\", REC->family
";

    #[test]
    fn reads_the_layout() {
        let offsets = parse(LINUX_6_1).expect("a complete description");
        assert_eq!((offsets.skaddr, offsets.newstate), (8, 20));
        assert_eq!((offsets.protocol, offsets.protocol_bytes), (30, 2));
        assert_eq!((offsets.saddr, offsets.daddr_v6), (32, 56));
    }

    #[test]
    fn follows_fields_that_move_and_narrow() {
        let moved = LINUX_6_1
            .replace("offset:30;\tsize:2", "offset:38;\tsize:1")
            .replace("offset:16;\tsize:4", "offset:24;\tsize:4");
        let offsets = parse(&moved).expect("a complete description");
        assert_eq!((offsets.protocol, offsets.protocol_bytes), (38, 1));
        assert_eq!(offsets.oldstate, 24);
    }

    #[test]
    fn names_a_field_that_is_missing_or_odd() {
        let gone = LINUX_6_1.replace("newstate", "state");
        assert_eq!(
            parse(&gone),
            Err(Problem::Field("it has no field newstate".into()))
        );
        let odd = LINUX_6_1.replace("offset:26;\tsize:2", "offset:26;\tsize:4");
        assert_eq!(
            parse(&odd),
            Err(Problem::Field("its field dport has 4 bytes".into()))
        );
        assert!(parse("").is_err());
    }
}
