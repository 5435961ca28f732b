//! Reading maps of sockets and counters. Maps of sockets are read with many entries per call,
//! because one entry per call, as aya does it, takes eight times as long.

use std::{
    io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use aya::{
    Ebpf, Pod,
    maps::{PerCpuArray, PerCpuValues},
};
use aya_obj::generated::{bpf_attr, bpf_cmd};

use crate::source::bpf::syscall;

/// Entries per call, at first.
const BATCH: usize = 1024;
/// The kernel returns whole buckets; a bucket with more entries than this is not plausible.
const MAX_BATCH: usize = 1 << 20;

/// All values of a hash map whose keys are `u64`, which must be values of type `V`. Entries that
/// are added or removed in the meantime may be included or not.
///
/// # Errors
/// When the kernel has no `BPF_MAP_LOOKUP_BATCH` (5.6) or refuses.
pub fn read_all<V: Pod + Default>(map: BorrowedFd<'_>) -> io::Result<Vec<V>> {
    let mut all = Vec::new();
    let mut keys = vec![0u64; BATCH];
    let mut values = vec![V::default(); BATCH];
    let mut position: Option<u32> = None;
    loop {
        let mut next = 0u32;
        let mut count = keys.len();
        let result = lookup_batch(map, position, &mut next, &mut keys, &mut values, &mut count);
        match result.as_ref().map_err(io::Error::raw_os_error) {
            Ok(()) => {}
            // The end of the map.
            Err(Some(libc::ENOENT)) => {
                all.extend_from_slice(&values[..count.min(values.len())]);
                return Ok(all);
            }
            // A bucket has more entries than the buffers hold.
            Err(Some(libc::ENOSPC)) if keys.len() < MAX_BATCH => {
                keys.resize(keys.len() * 2, 0);
                values.resize(keys.len(), V::default());
                continue;
            }
            Err(_) => result?,
        }
        all.extend_from_slice(&values[..count.min(values.len())]);
        position = Some(next);
    }
}

/// Each CPU's own copy of the only entry of the array with this name, which must be of type `V`.
///
/// # Errors
/// When there is no such map, or the kernel refuses.
pub fn of_each_cpu<V: Pod>(ebpf: &Ebpf, name: &str) -> io::Result<PerCpuValues<V>> {
    let map = ebpf.map(name).ok_or(io::ErrorKind::NotFound)?;
    let map: PerCpuArray<_, V> = PerCpuArray::try_from(map).map_err(io::Error::other)?;
    map.get(&0, 0).map_err(io::Error::other)
}

fn lookup_batch<V: Pod>(
    map: BorrowedFd<'_>,
    position: Option<u32>,
    next: &mut u32,
    keys: &mut [u64],
    values: &mut [V],
    count: &mut usize,
) -> io::Result<()> {
    // SAFETY: all zeros is a value of this union of integers.
    let mut attr: bpf_attr = unsafe { mem::zeroed() };
    // SAFETY: the kernel takes this member for this command.
    let batch = unsafe { &mut attr.batch };
    batch.map_fd = map.as_fd().as_raw_fd().cast_unsigned();
    batch.in_batch = position
        .as_ref()
        .map_or(0, |at| std::ptr::from_ref(at) as u64);
    batch.out_batch = std::ptr::from_mut(next) as u64;
    batch.keys = keys.as_mut_ptr() as u64;
    batch.values = values.as_mut_ptr() as u64;
    batch.count = u32::try_from(keys.len().min(values.len())).unwrap_or(u32::MAX);
    // SAFETY: the pointers lead to live buffers of `count` keys and values of the map's sizes, and
    // to the positions; the kernel writes nothing else.
    let result = unsafe { syscall::call(bpf_cmd::BPF_MAP_LOOKUP_BATCH, &mut attr) };
    // SAFETY: as above.
    *count = unsafe { attr.batch.count } as usize;
    result.map(drop)
}
