//! Loading the object: creates its maps, and prepares its programs for loading.

use aya::{Ebpf, EbpfLoader};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tcptrace_common::Settings;

use crate::source::{bpf::types::TypeInfo, error::StartError};

/// The programs, as `cargo xtask ebpf` built them.
static OBJECT: &[u8] = aya::include_bytes_aligned!("tcptrace.bpf.o");

/// Room for sockets if the map can grow as needed.
pub const SOCKETS: u32 = 1_000_000;
/// Room for sockets if the map is preallocated: about 10 MiB.
pub const SOCKETS_PREALLOCATED: u32 = 65_536;
/// The smallest possible ring buffer: one page.
const NO_MESSAGES_BYTES: u32 = 4096;

/// Creates the maps and prepares the programs for loading. Maps in the list get the given number of
/// entries (a ring buffer: bytes), others are as small as possible. `messages`: whether the kernel
/// side sends messages.
///
/// # Errors
/// When the kernel refuses a map.
pub fn object(
    settings: Settings,
    types: Option<&TypeInfo>,
    sizes: &[(&'static str, u32)],
    messages: bool,
) -> Result<Ebpf, StartError> {
    // The levels of aya-log: 0 is none, 4 is debug. At 0 the verifier removes every message.
    let level: u8 = if messages { 4 } else { 0 };
    let mut loader = new_loader();
    loader
        .btf(types.map(|types| &types.aya))
        .override_global("SETTINGS", &settings, true)
        .override_global("AYA_LOG_LEVEL", &level, true);
    for (name, entries) in sizes {
        loader.map_max_entries(name, *entries);
    }
    if !messages {
        loader.map_max_entries("AYA_LOGS", NO_MESSAGES_BYTES);
    }
    Ok(loader.load(OBJECT)?)
}

/// A loader without type information of its own. `EbpfLoader::new` of aya 0.14.0 reads and parses
/// all of the kernel's type information before the caller can give its own, which takes 20 ms and
/// 20 MiB (<https://github.com/aya-rs/aya/issues/1172>); if it cannot open the file, it continues
/// without. No other thread runs yet that might open a file in the meantime.
///
/// aya's main branch reads it only when the object asks for it
/// (<https://github.com/aya-rs/aya/pull/1639>): with the first release after 0.14.0 this can become
/// `EbpfLoader::new()`.
fn new_loader<'a>() -> EbpfLoader<'a> {
    let limit = getrlimit(Resource::Nofile);
    let none = Rlimit {
        current: Some(0),
        maximum: limit.maximum,
    };
    let lowered = setrlimit(Resource::Nofile, none).is_ok();
    let loader = EbpfLoader::new();
    if lowered {
        // Raising it to the old value is always allowed, because the hard limit has not changed.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    loader
}
