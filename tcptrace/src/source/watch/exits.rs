//! The sockets that left the watched state, from one look to the next.

use std::mem;

use aya::{
    Ebpf, EbpfError,
    maps::{MapData, MapError, RingBuf},
};

use crate::{model::stuck::look::Exit, source::watch::convert};

/// The program's map.
pub const NAME: &str = "EXITS";
/// Its size in bytes: some 3200 sockets between two looks.
pub const BYTES: u32 = 256 * 1024;
/// How many are read for one look at most: new ones may come as fast as they are read.
const MOST: usize = 16 * 1024;

/// The sockets that left.
pub struct Exits {
    ring: RingBuf<MapData>,
    /// Those that left after the last look.
    later: Vec<Exit>,
}

impl Exits {
    /// Takes the map of a loaded object.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn take(ebpf: &mut Ebpf) -> Result<Self, EbpfError> {
        let missing = || MapError::InvalidName { name: NAME.into() };
        let map = ebpf.take_map(NAME).ok_or_else(missing)?;
        Ok(Self {
            ring: RingBuf::try_from(map)?,
            later: Vec::new(),
        })
    }

    /// Those that left until this moment, in ns of `CLOCK_MONOTONIC`, and were not taken before.
    pub fn until(&mut self, now_ns: u64) -> Vec<Exit> {
        let mut all = mem::take(&mut self.later);
        for _ in 0..MOST {
            let Some(record) = self.ring.next() else {
                break;
            };
            all.extend(convert::exit(&record));
        }
        let (earlier, later) = all.into_iter().partition(|exit| exit.left_ns <= now_ns);
        self.later = later;
        earlier
    }
}
