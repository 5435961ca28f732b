//! Reading which sockets are on their way in the messages of a Unix socket.

use std::{io, os::fd::AsFd as _};

use tcptrace_common::{MessageStep, SocketRecord};

use crate::source::{
    bpf::{single::Loaded, syscall, types::WalkTypes},
    walk::object::{WalkProgram, load_alone},
};

/// More messages than a Unix socket holds; it ends a walk along a list in motion.
const MAX_MESSAGES: usize = 1 << 16;

/// The program that reads messages; loaded when some have to be read.
#[derive(Default)]
pub struct Messages(Option<Loaded>);

impl Messages {
    /// Whether this kernel's messages can be read.
    #[must_use]
    pub fn work(types: &WalkTypes) -> bool {
        let tcp = &types.tcp;
        let needed = [
            tcp.unix_descriptors,
            tcp.sk_receive_queue,
            tcp.skb_descriptors,
            tcp.scm_files,
        ];
        !needed.contains(&0)
    }

    /// The inodes of the sockets in the messages that wait in a Unix socket.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn read(&mut self, types: &WalkTypes, unix: &SocketRecord) -> io::Result<Vec<u64>> {
        if !Self::work(types) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let loaded = match &mut self.0 {
            Some(loaded) => loaded,
            nothing => nothing.insert(load_alone(WalkProgram::Messages, types)?),
        };
        let mut inodes = Vec::new();
        let (mut message, mut first) = (0, None);
        for _ in 0..MAX_MESSAGES {
            let mut number = 0;
            let step = loop {
                let arguments = [unix.sock, message, number];
                syscall::run_once(loaded.program.as_fd(), &arguments)?;
                let step: MessageStep = loaded.memory("MESSAGE")?.read(0);
                // Messages leave at the front: behind it everything is valid while it stays.
                if *first.get_or_insert(step.first) != step.first {
                    return Ok(inodes);
                }
                inodes.extend(Some(step.inode).filter(|inode| *inode != 0));
                number += 1;
                if number >= step.descriptors.into() {
                    break step;
                }
            };
            message = step.next;
            if message == step.queue || message == 0 {
                break;
            }
        }
        Ok(inodes)
    }
}
