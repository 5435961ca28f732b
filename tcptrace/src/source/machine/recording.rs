//! The header of a recording that is made on this machine.

use std::{fs, time::SystemTime};

use rustix::system::uname;

use crate::{
    model::{recording::RecordingHeader, request::LogFilters},
    source::machine::{cgroup, clock::monotonic_ns, netns},
};

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The header of a recording that begins now, with these filters. Call this before the first
/// transition is seen.
#[must_use]
pub fn header(filters: LogFilters) -> RecordingHeader {
    let boot_id = fs::read_to_string(BOOT_ID).ok();
    RecordingHeader {
        version: env!("CARGO_PKG_VERSION").into(),
        kernel: uname().release().to_string_lossy().into_owned(),
        boot_id: boot_id.map(|id| id.trim().to_owned()),
        filters,
        cgroups_from: cgroup::paths_from(),
        netns: netns::names(),
        time: SystemTime::now(),
        monotonic_ns: monotonic_ns(),
    }
}
