//! Reading the accept queues of listeners.

use std::{io, os::fd::AsFd as _};

use tcptrace_common::{QueueStep, SocketRecord, TcpState};

use crate::source::{
    bpf::{single::Loaded, syscall, types::WalkTypes},
    walk::object::{WalkProgram, load_alone},
};

/// How often a queue is read again that changes meanwhile.
const ATTEMPTS: usize = 5;
/// More connections than any queue holds; it ends a walk along a list in motion.
const MAX_LENGTH: usize = 1 << 20;

/// The program that reads accept queues; loaded when one has to be read.
#[derive(Default)]
pub struct Queues(Option<Loaded>);

impl Queues {
    /// The connections in the queue of a listener, as the walk found it.
    ///
    /// # Errors
    /// When the kernel refuses, or the queue does not stand still long enough to be read.
    pub fn read(
        &mut self,
        types: &WalkTypes,
        listener: &SocketRecord,
    ) -> io::Result<Vec<SocketRecord>> {
        let tcp = &types.tcp;
        let needed = [
            tcp.icsk_accept_head,
            tcp.request_next,
            tcp.request_sk,
            tcp.request_listener,
        ];
        if needed.contains(&0) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let loaded = match &mut self.0 {
            Some(loaded) => loaded,
            nothing => nothing.insert(load_alone(WalkProgram::AcceptQueue, types)?),
        };
        for _ in 0..ATTEMPTS {
            if let Some(children) = attempt(loaded, listener)? {
                return Ok(children);
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// The whole queue; `None` if it changed meanwhile.
fn attempt(loaded: &mut Loaded, listener: &SocketRecord) -> io::Result<Option<Vec<SocketRecord>>> {
    let mut children = Vec::new();
    let (mut head, mut request) = (None, 0);
    while children.len() < MAX_LENGTH {
        syscall::run_once(loaded.program.as_fd(), &[queue_at(listener), request])?;
        let step: QueueStep = loaded.memory("QUEUE")?.read(0);
        if step.state != u32::from(TcpState::Listen.number()) {
            // The listener is gone, and its queue with it.
            return Ok(Some(Vec::new()));
        }
        if step.head == 0 {
            return Ok(head.is_none().then(Vec::new));
        }
        // What stands behind the head is valid while the head stays the same.
        if *head.get_or_insert(step.head) != step.head || !belongs(&step, listener) {
            return Ok(None);
        }
        children.push(step.child);
        request = step.next;
        if request == 0 {
            return Ok(Some(children));
        }
    }
    Ok(None)
}

/// The socket that has the queue: of an MPTCP listener its subflow.
fn queue_at(listener: &SocketRecord) -> u64 {
    match listener.subflow {
        0 => listener.sock,
        subflow => subflow,
    }
}

/// Whether the request is one of this listener. Memory that has been used for something else says
/// something else.
fn belongs(step: &QueueStep, listener: &SocketRecord) -> bool {
    step.listener == queue_at(listener)
        && step.child.netns == listener.netns
        && step.child.sock != 0
}
