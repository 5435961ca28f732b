//! Asking `sock_diag` in one network namespace.

use std::{collections::HashMap, fs, io};

use bytes::{Bytes, BytesMut};
use netlink_packet_sock_diag::inet::InetResponse;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};
use procfs::sys::kernel::Version as KernelVersion;
use rustix::fs::{fstat, major, minor};
use tcptrace_common::TcpState;

use crate::{
    model::{
        socket::{Family, Protocol},
        stuck::look::{Listed, Listening},
    },
    source::{
        diag::{
            answer::{self, Answer},
            request::{self, SockId},
            tcp_info::ReadAt,
        },
        machine::clock::{monotonic_ns, tick_ns},
    },
};

/// The kernel fills at most 32 KiB of a dump at a time.
const DATAGRAM_BYTES: usize = 64 * 1024;
/// Questions sent at once. The kernel queues every answer before the call returns, and the default
/// receive buffer (208 KiB) must hold them all.
const AT_ONCE: usize = 32;

/// How many MPTCP connections and listeners the namespace of the calling thread has; 0 if the kernel
/// has no MPTCP, `None` if it does not say.
///
/// # Errors
/// When it cannot be read.
pub fn mptcp_in_use() -> io::Result<Option<u64>> {
    // `proto_seq_printf` of `net/core/sock.c`: the third column is the number of sockets.
    let text = fs::read_to_string("/proc/thread-self/net/protocols")?;
    let lines = text.lines().filter(|line| line.starts_with("MPTCP"));
    let counts = lines.map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
    // IPv6 sockets are in a line of their own.
    let count = counts
        .sum::<Option<u64>>()
        .ok_or(io::ErrorKind::InvalidData)?;
    // Before 6.3 it is always 0.
    let counts = KernelVersion::current().is_ok_and(|now| now >= KernelVersion::new(6, 3, 0));
    Ok((count > 0 || counts || !text.contains("MPTCP") || never_had_mptcp()).then_some(count))
}

/// Whether no MPTCP socket was ever made on this machine: then the kernel has no memory for any.
fn never_had_mptcp() -> bool {
    let none = |name: &str| {
        let text = fs::read_to_string(format!("/sys/kernel/slab/{name}/slabs"));
        text.is_ok_and(|text| text.split_whitespace().next() == Some("0"))
    };
    none("MPTCP") && none("MPTCPv6")
}

/// Whether the namespace of the calling thread has any TCP sockets, accepted or not, or remainders of
/// such. This costs far less than a dump, which walks the connections of all namespaces.
#[must_use]
pub fn has_tcp_sockets() -> bool {
    let in_use = |file: &str, label: &str| {
        let text = fs::read_to_string(format!("/proc/thread-self/net/{file}"));
        // An unknown number counts as some. Without IPv6 there is no such file.
        text.map_or(file == "sockstat", |text| {
            let line = text.lines().find_map(|line| line.strip_prefix(label));
            line.is_none_or(|line| {
                line != "0" && !(line.starts_with("0 ") && line.contains(" tw 0 "))
            })
        })
    };
    in_use("sockstat", "TCP: inuse ") || in_use("sockstat6", "TCP6: inuse ")
}

/// The device of the filesystem that every socket is on (`sockfs`), as the kernel itself numbers it.
///
/// # Errors
/// When the kernel offers no `sock_diag`: a socket of another kind may not be made after the start.
pub fn device() -> io::Result<u32> {
    let device = fstat(Socket::new(NETLINK_SOCK_DIAG)?)?.st_dev;
    // `MKDEV` of `include/linux/kdev_t.h`; `stat` has another order of the bits (`new_encode_dev`).
    Ok(major(device) << 20 | minor(device))
}

/// A connection to `sock_diag` in the namespace that the calling thread is in.
pub struct SockDiag {
    socket: Socket,
    netns: u32,
    sequence: u32,
    buffer: BytesMut,
}

impl SockDiag {
    /// Connects; `netns` is the inode number of the calling thread's namespace.
    ///
    /// # Errors
    /// When the kernel offers no `sock_diag`.
    pub fn open(netns: u32) -> io::Result<Self> {
        let socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self {
            socket,
            netns,
            sequence: 0,
            buffer: BytesMut::with_capacity(DATAGRAM_BYTES),
        })
    }

    /// All sockets in `state`, of one family or of both.
    ///
    /// # Errors
    /// When the kernel refuses or an answer goes missing.
    pub fn in_state(&mut self, state: TcpState, family: Option<Family>) -> io::Result<Vec<Listed>> {
        let started_ns = monotonic_ns();
        let mut sockets = self.in_states(&[state], family)?;
        if monotonic_ns().saturating_sub(started_ns) > tick_ns() {
            self.ask_again(&mut sockets, state)?;
        }
        Ok(sockets)
    }

    /// All sockets in one of the `states`, of one family or of both.
    ///
    /// # Errors
    /// As [`Self::in_state`].
    pub fn in_states(
        &mut self,
        states: &[TcpState],
        family: Option<Family>,
    ) -> io::Result<Vec<Listed>> {
        let tick_ns = tick_ns();
        let (netns, asked_ns) = (self.netns, monotonic_ns());
        let mut sockets = Vec::new();
        self.dump(states, family, |response, monotonic_ns| {
            let read = ReadAt {
                netns,
                asked_ns,
                monotonic_ns,
                tick_ns,
            };
            sockets.extend(answer::listed(response, Protocol::Tcp, read));
        })?;
        Ok(sockets)
    }

    /// All MPTCP connections in one of the `states`, of one family or of both.
    ///
    /// # Errors
    /// As [`Self::in_state`]; also if the kernel cannot list these.
    pub fn mptcp_in_states(
        &mut self,
        states: &[TcpState],
        family: Option<Family>,
    ) -> io::Result<Vec<Listed>> {
        let (netns, asked_ns) = (self.netns, monotonic_ns());
        let mut sockets = Vec::new();
        for family in family.map_or(vec![Family::Ipv4, Family::Ipv6], |one| vec![one]) {
            let mut request = BytesMut::new();
            self.sequence += 1;
            request::ask_for_mptcp(&mut request, family, request::mask(states), self.sequence);
            self.answers(&request, |response, monotonic_ns| {
                let read = ReadAt {
                    netns,
                    asked_ns,
                    monotonic_ns,
                    tick_ns: 0,
                };
                sockets.extend(answer::listed(response, Protocol::Mptcp, read));
            })?;
        }
        Ok(sockets)
    }

    /// Asks for the sockets one by one after a long dump, in which the time of each socket's answer
    /// is not known. Single answers come at once, and the earlier of the two bounds holds.
    fn ask_again(&mut self, sockets: &mut [Listed], state: TcpState) -> io::Result<()> {
        let wanted: Vec<SockId> = sockets.iter().map(SockId::from).collect();
        let answers = self.ask(&wanted, state)?.into_iter();
        let later: HashMap<_, _> = answers.map(|socket| (socket.cookie, socket)).collect();
        for socket in sockets {
            if let Some(again) = later.get(&socket.cookie) {
                let bounds = [socket.last_ack_ns, again.last_ack_ns];
                socket.last_ack_ns = bounds.into_iter().flatten().min();
                socket.data_not_before_ns = socket.data_not_before_ns.max(again.data_not_before_ns);
                socket.sent_not_before_ns = socket.sent_not_before_ns.max(again.sent_not_before_ns);
                socket.first_syn = again.first_syn.or(socket.first_syn);
            }
        }
        Ok(())
    }

    /// All listeners.
    ///
    /// # Errors
    /// As [`Self::in_state`].
    pub fn listening(&mut self) -> io::Result<Vec<Listening>> {
        let netns = self.netns;
        let mut listeners = Vec::new();
        self.dump(&[TcpState::Listen], None, |response, _| {
            listeners.extend(answer::listening(response, netns));
        })?;
        Ok(listeners)
    }

    fn dump(
        &mut self,
        states: &[TcpState],
        family: Option<Family>,
        each: impl FnMut(&InetResponse, u64),
    ) -> io::Result<()> {
        self.sequence += 1;
        let mut request = BytesMut::new();
        let states = request::mask(states);
        match family {
            Some(family) => request::ask_for_all(&mut request, family, states, self.sequence),
            None => request::ask_for_both(&mut request, states, self.sequence),
        }
        self.answers(&request, each)
    }

    /// Sends a request for a dump, and gives each of the answers.
    fn answers(
        &mut self,
        request: &[u8],
        mut each: impl FnMut(&InetResponse, u64),
    ) -> io::Result<()> {
        self.socket.send(request, 0)?;
        loop {
            // The kernel filled it during the call before this one.
            let filled_ns = monotonic_ns();
            let mut datagram = self.receive()?;
            while let Some(answer) = answer::next_answer(&mut datagram) {
                match answer {
                    Answer::Socket(response) => each(&response, filled_ns),
                    Answer::Done => return Ok(()),
                    Answer::Error(errno) => return Err(io::Error::from_raw_os_error(errno)),
                    Answer::Other => {}
                }
            }
        }
    }

    /// Those of the wanted sockets that are in `state` now.
    ///
    /// # Errors
    /// When the kernel refuses or an answer goes missing.
    pub fn ask(&mut self, wanted: &[SockId], state: TcpState) -> io::Result<Vec<Listed>> {
        let tick_ns = tick_ns();
        let mut found = Vec::with_capacity(wanted.len());
        for batch in wanted.chunks(AT_ONCE) {
            let mut requests = BytesMut::new();
            for one in batch {
                self.sequence += 1;
                request::ask_for_one(&mut requests, one, self.sequence);
            }
            let asked_ns = monotonic_ns();
            self.socket.send(&requests, 0)?;
            // The kernel has answered all of them by now.
            let read = ReadAt {
                netns: self.netns,
                asked_ns,
                monotonic_ns: monotonic_ns(),
                tick_ns,
            };
            let mut unanswered = batch.len();
            while unanswered > 0 {
                let mut datagram = self.receive()?;
                while let Some(answer) = answer::next_answer(&mut datagram) {
                    unanswered = unanswered.saturating_sub(1);
                    if let Answer::Socket(response) = answer {
                        let socket = answer::listed(&response, Protocol::Tcp, read);
                        found.extend(socket.filter(|socket| socket.state == state));
                    }
                }
            }
        }
        Ok(found)
    }

    /// The next datagram. All of an answer is there once the question is sent, so that waiting
    /// would mean waiting for what has been lost.
    fn receive(&mut self) -> io::Result<Bytes> {
        self.buffer.clear();
        self.buffer.reserve(DATAGRAM_BYTES);
        self.socket.recv(&mut self.buffer, libc::MSG_DONTWAIT)?;
        Ok(self.buffer.split().freeze())
    }
}
