//! Values in the lines of a recording, with errors that name the field.

use std::time::{Duration, SystemTime};

use tcptrace_common::TcpState;

/// No machine has run for longer, so a larger value is damaged.
const LONGEST_UPTIME: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The time of a line, by both clocks.
pub fn moment(time: Option<&str>, monotonic_ns: Option<u64>) -> Result<(SystemTime, u64), String> {
    let time = time.ok_or("no `time`")?;
    let time = humantime::parse_rfc3339(time).map_err(|error| format!("`time`: {error}"))?;
    let ns = monotonic_ns.ok_or("no `monotonic_ns`")?;
    if Duration::from_nanos(ns) > LONGEST_UPTIME {
        return Err("`monotonic_ns` is more than 100 years".into());
    }
    Ok((time, ns))
}

/// The value that the word in this field names; `None` if there is no word.
pub fn named<T>(
    field: &str,
    word: Option<&str>,
    from_name: fn(&str) -> Option<T>,
) -> Result<Option<T>, String> {
    let known = |word| from_name(word).ok_or_else(|| format!("`{field}` is {word}"));
    word.map(known).transpose()
}

/// The state that this field names.
pub fn state(field: &str, name: Option<&str>) -> Result<TcpState, String> {
    let name = name.ok_or_else(|| format!("no `{field}`"))?;
    let mut states = TcpState::ALL.into_iter();
    let state = states.find(|state| state.name() == name);
    state.ok_or_else(|| format!("`{field}` is {name}, which is no TCP state"))
}

/// Checks that a text has at most so many bytes.
pub fn short(field: &str, text: &str, most: usize) -> Result<(), String> {
    match text.len() <= most {
        true => Ok(()),
        false => Err(format!("`{field}` has more than {most} bytes")),
    }
}
