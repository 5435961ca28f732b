//! Holders by a BPF iterator: the kernel walks the descriptor tables and writes only the relevant
//! entries.

use std::io::{self, Read};

use aya::{Ebpf, maps::Array, programs::ProgramError};
use bytes::Buf;
use tcptrace_common::{HolderRecord, WalkState};

use crate::{
    model::{owner::Holder, stuck::look::Descriptor},
    source::bpf::{program, types::TypeInfo},
};

/// More passes than any process has descriptors for. The limit ends a walk over a table that keeps
/// growing.
const MAX_PASSES: usize = 4096;

/// The ways in which the kernel can find holders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderIterator {
    /// Walks descriptor tables with `bpf_loop` (5.17).
    Walk,
    /// Runs for each descriptor, with `bpf_sock_from_file` (5.11).
    EachFile,
}

impl HolderIterator {
    fn program(self) -> &'static str {
        match self {
            Self::Walk => "walk_files",
            Self::EachFile => "each_file",
        }
    }

    /// Loads the iterator, and attaches it once to check that this works.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn load(self, ebpf: &mut Ebpf, types: &TypeInfo) -> Result<(), ProgramError> {
        let over = match self {
            Self::Walk => "task",
            Self::EachFile => "task_file",
        };
        let iterator = program::load_iterator(ebpf, self.program(), over, types)?;
        let link = iterator.attach()?;
        iterator.detach(link)
    }
}

/// What the iterators found.
#[derive(Debug, Default)]
pub struct Found {
    /// The holders.
    pub held: Vec<Descriptor>,
    /// Whether some were left out.
    pub incomplete: bool,
}

/// Runs `walk_files`, pass after pass; with `mptcp`, MPTCP sockets of every state are found too.
///
/// # Errors
/// When the kernel refuses.
pub fn walk(ebpf: &mut Ebpf, mptcp: bool) -> io::Result<Found> {
    let mut found = Found::default();
    for pass in 0..MAX_PASSES {
        let state = WalkState {
            first_pass: u32::from(pass == 0),
            mptcp: u32::from(mptcp),
            ..WalkState::default()
        };
        set_state(ebpf, state)?;
        found.held.append(&mut run(ebpf, HolderIterator::Walk)?);
        let state = read_state(ebpf)?;
        found.incomplete |= state.cut_short > 0;
        if state.more == 0 {
            return Ok(found);
        }
    }
    found.incomplete = true;
    Ok(found)
}

/// Runs `each_file` once.
///
/// # Errors
/// When the kernel refuses.
pub fn each_file(ebpf: &mut Ebpf) -> io::Result<Found> {
    Ok(Found {
        held: run(ebpf, HolderIterator::EachFile)?,
        incomplete: false,
    })
}

fn set_state(ebpf: &mut Ebpf, state: WalkState) -> io::Result<()> {
    let map = ebpf.map_mut("WALK").ok_or(io::ErrorKind::NotFound)?;
    let mut map: Array<_, WalkState> = Array::try_from(map).map_err(io::Error::other)?;
    map.set(0, state, 0).map_err(io::Error::other)
}

fn read_state(ebpf: &Ebpf) -> io::Result<WalkState> {
    let map = ebpf.map("WALK").ok_or(io::ErrorKind::NotFound)?;
    let map: Array<_, WalkState> = Array::try_from(map).map_err(io::Error::other)?;
    map.get(&0, 0).map_err(io::Error::other)
}

fn run(ebpf: &mut Ebpf, iterator: HolderIterator) -> io::Result<Vec<Descriptor>> {
    let mut output = Vec::new();
    program::open_iterator(ebpf, iterator.program())?.read_to_end(&mut output)?;
    Ok(parse(&output))
}

/// Reads [`HolderRecord`]s as they are in memory; a truncated last one is left out.
fn parse(output: &[u8]) -> Vec<Descriptor> {
    let records = output.chunks_exact(size_of::<HolderRecord>());
    records
        .map(|mut record| {
            let inode = record.get_u64_ne();
            let pid = record.get_u32_ne();
            let fd = record.get_u32_ne();
            let backlog = record.get_u32_ne();
            let _state = record.get_u32_ne();
            Descriptor {
                inode,
                holder: Holder {
                    pid,
                    fd,
                    comm: name(record),
                },
                backlog: Some(backlog),
            }
        })
        .collect()
}

/// A name up to its NUL.
fn name(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_whole_records_only() {
        let mut output = Vec::new();
        output.extend_from_slice(&77u64.to_ne_bytes());
        for word in [1234u32, 5, 128, 8] {
            output.extend_from_slice(&word.to_ne_bytes());
        }
        output.extend_from_slice(b"java\0\0\0\0\0\0\0\0\0\0\0\0");
        let whole = parse(&output);
        assert_eq!(whole.len(), 1);
        assert_eq!(whole[0].inode, 77);
        assert_eq!((whole[0].holder.pid, whole[0].holder.fd), (1234, 5));
        assert_eq!(whole[0].holder.comm, "java");
        assert_eq!(whole[0].backlog, Some(128));
        output.extend_from_slice(&[1, 2, 3]);
        assert_eq!(parse(&output), whole);
        assert!(parse(&output[..20]).is_empty());
    }
}
