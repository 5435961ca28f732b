//! How an actor executes an order.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, sockopt};
use rustix::thread::UnshareFlags;

use super::{
    Actor, Order, Reply,
    children::Children,
    dial,
    elsewhere::{self, Elsewhere},
    hide, inherit, listen,
    mailboxes::Mailboxes,
    other, threads, traffic,
};
use crate::clock;
use crate::network::{destroy, netns, sockets, state::FIN_WAIT2};

/// An actor: its sockets, and the processes that it has started.
#[derive(Default)]
pub struct Act {
    sockets: BTreeMap<i32, OwnedFd>,
    /// Those that are not TCP's.
    others: Vec<OwnedFd>,
    children: Children,
    mailboxes: Mailboxes,
    workers: BTreeMap<u32, Actor>,
    /// Processes that share this one's table of descriptors.
    sharers: BTreeSet<u32>,
}

impl Act {
    /// An actor that begins with these sockets.
    pub fn new(inherited: Vec<OwnedFd>) -> Self {
        let numbered = inherited.into_iter().map(|fd| (fd.as_raw_fd(), fd));
        Self {
            sockets: numbered.collect(),
            ..Self::default()
        }
    }

    /// Executes an order.
    pub fn perform(&mut self, order: Order) -> Result<Reply> {
        match order {
            Order::SpeakMptcp => match sockets::speak_mptcp() {
                Ok(()) => Ok(Reply::Done),
                Err(error) => Ok(Reply::Error(error.raw_os_error())),
            },
            Order::LeakElsewhere { keeper } => self.keep_elsewhere(elsewhere::leak(keeper)?),
            Order::LeakAtAMount => self.keep_elsewhere(elsewhere::leak_at_a_mount()?),
            Order::Listen { address, backlog } => self.listen(address, backlog),
            Order::ListenBeside {
                address,
                backlog,
                how,
            } => self.keep(vec![listen::beside(&address, backlog, &how)?]),
            Order::ListenOn { fd, backlog } => {
                let fd = self.get(fd)?;
                rustix::net::listen(fd, backlog)?;
                Ok(Reply::Sockets(vec![sockets::describe(fd)?]))
            }
            Order::Connect { address, count } => self.connect(address, count),
            Order::ConnectUnanswered { address, count } => {
                self.connect_unanswered(address, count, false)
            }
            Order::ConnectDeaf { address, count } => self.connect_unanswered(address, count, true),
            Order::Open { local, bind } => {
                let fd = dial::open(&local, bind)?;
                self.keep(vec![fd])
            }
            Order::Dial {
                fd,
                address,
                blocking,
            } => {
                let fd = self.get(fd)?;
                match dial::dial(fd, &address, blocking)? {
                    Ok(()) => Ok(Reply::Sockets(vec![sockets::describe(fd)?])),
                    Err(error) => Ok(Reply::Error(error.raw_os_error())),
                }
            }
            Order::Disconnect { fd } => dial::disconnect(self.get(fd)?).map(|()| Reply::Done),
            Order::ConnectAndEnd { address } => self.connect(address, 1),
            Order::Accept { fd, count } => self.accept(fd, count),
            Order::OpenOther { kind } => {
                self.others.push(other::open(kind)?);
                Ok(Reply::Done)
            }
            Order::AcceptWaiting { fd } => {
                let accepted = listen::accept_waiting(self.get(fd)?)?;
                self.keep(accepted)
            }
            Order::Send { fd, bytes } => traffic::send(self.get(fd)?, bytes).map(|()| Reply::Done),
            Order::SendLast { fd, bytes } => {
                traffic::send_last(self.get(fd)?, bytes).map(|()| Reply::Done)
            }
            Order::Fill { fd } => traffic::fill(self.get(fd)?).map(Reply::Count),
            Order::Read { fd, bytes } => traffic::read(self.get(fd)?, bytes).map(|()| Reply::Done),
            Order::Drain { fd } => traffic::drain(self.get(fd)?).map(|()| Reply::Done),
            Order::LimitDescriptors { limit } => {
                super::limit_descriptors(limit).map(|()| Reply::Done)
            }
            Order::Shutdown { fd } => self.shutdown(fd, Shutdown::Write).map(Reply::Time),
            Order::ShutdownToo { fd, both } => {
                let how = if both { Shutdown::Both } else { Shutdown::Read };
                self.shutdown(fd, how).map(Reply::Time)
            }
            Order::ShutdownAll { fds } => self.shutdown_all(&fds),
            Order::Close { fds } => self.close(&fds, |_| Ok(())),
            Order::Reset { fds } => self.close(&fds, |fd| {
                Ok(sockopt::set_socket_linger(fd, Some(Duration::ZERO))?)
            }),
            Order::Await { fd, state } => {
                Ok(Reply::Time(sockets::await_state(self.get(fd)?, state)?))
            }
            Order::AwaitAll { fds, state } => {
                let all = fds.iter().map(|fd| self.get(*fd));
                let all = all.collect::<Result<Vec<_>>>()?;
                Ok(Reply::Brackets(sockets::await_all(&all, state)?))
            }
            Order::ReadError { fd } => {
                let error = sockopt::socket_error(self.get(fd)?)?;
                Ok(Reply::Error(error.err().map_or(0, Errno::raw_os_error)))
            }
            Order::Destroy { fd } => {
                let before = clock::monotonic_ns();
                match destroy::destroy(self.get(fd)?)? {
                    0 => Ok(Reply::Time(before)),
                    error => Ok(Reply::Error(error)),
                }
            }
            Order::UserTimeout { fd, milliseconds } => {
                sockopt::set_tcp_user_timeout(self.get(fd)?, milliseconds)?;
                Ok(Reply::Done)
            }
            Order::Keepalive {
                fd,
                idle,
                interval,
                count,
            } => self.keepalive(fd, idle, interval, count),
            Order::SystemKeepalive { fd } => {
                sockopt::set_socket_keepalive(self.get(fd)?, true)?;
                Ok(Reply::Done)
            }
            Order::Deafen { fd } => sockets::deafen(self.get(fd)?).map(|()| Reply::Done),
            Order::Hear { fd } => sockets::hear(self.get(fd)?).map(|()| Reply::Done),
            Order::Fork { fds } => {
                fds.iter().try_for_each(|fd| self.get(*fd).map(drop))?;
                self.children.start(fds).map(Reply::Pid)
            }
            Order::EndChild { pid } => match self.workers.remove(&pid) {
                Some(worker) => {
                    drop(worker);
                    Ok(Reply::Done)
                }
                None if self.sharers.remove(&pid) => threads::end(pid).map(|()| Reply::Done),
                None => self.children.end(pid).map(|()| Reply::Done),
            },
            Order::Worker { comm, fds } => {
                fds.iter().try_for_each(|fd| self.get(*fd).map(drop))?;
                let worker = Actor::inherit(&comm, &fds)?;
                let pid = worker.pid();
                self.workers.insert(pid, worker);
                Ok(Reply::Pid(pid))
            }
            Order::Relay { pid, order } => {
                let worker = self.workers.get_mut(&pid);
                worker
                    .with_context(|| format!("{pid} is not a worker of this actor"))?
                    .tell(&order)
            }
            Order::Thread { order } => self.in_thread(*order),
            Order::Hide { fd, how } => {
                let hidden = hide::hide(self.get(fd)?, how)?;
                match hidden {
                    Ok(ring) => self.others.extend(ring),
                    Err(error) => return Ok(Reply::Error(error)),
                }
                self.close(&[fd], |_| Ok(()))
            }
            Order::OwnTable { fds } => {
                let tid = threads::with_own_table()?;
                self.close(&fds, |_| Ok(()))?;
                Ok(Reply::Thread(tid, Box::new(Reply::Done)))
            }
            Order::ShareTable => {
                let pid = threads::share_table()?;
                self.sharers.insert(pid);
                Ok(Reply::Pid(pid))
            }
            Order::LeaveMainThread => bail!("only the main thread can leave itself"),
            Order::Become { comm, fds } => {
                fds.iter().try_for_each(|fd| self.get(*fd).map(drop))?;
                Err(inherit::become_actor(&comm, fds))
            }
            Order::UnsharePids => unshare_pids().map(|()| Reply::Done),
            Order::Mailbox { name } => self.mailboxes.open(&name).map(|()| Reply::Done),
            Order::Pass { fd, name } => Mailboxes::pass(self.get(fd)?, &name).map(|()| Reply::Done),
            Order::Take => {
                let fd = self.mailboxes.take()?;
                self.keep(vec![fd])
            }
            Order::PassOn { name, milliseconds } => {
                let time = Duration::from_millis(milliseconds);
                self.mailboxes.pass_on(&name, time).map(Reply::Count)
            }
            Order::LeaveNamespace => {
                netns::leave()?;
                sockets::loopback_up().map(|()| Reply::Done)
            }
            Order::Rename { comm } => {
                rustix::thread::set_name(&CString::new(comm)?)?;
                Ok(Reply::Done)
            }
            Order::Churn { address, count } => churn(count, || visit(&address)),
            Order::ChurnServe { fd, count } => {
                let listener = self.get(fd)?;
                churn(count, || serve(listener))
            }
        }
    }

    fn keep_elsewhere(&mut self, made: std::result::Result<Elsewhere, i32>) -> Result<Reply> {
        match made {
            Ok(made) => {
                self.others.extend(made.kept);
                Ok(Reply::Elsewhere(made.netns, made.inode))
            }
            Err(error) => Ok(Reply::Error(error)),
        }
    }

    fn get(&self, fd: i32) -> Result<&OwnedFd> {
        self.sockets
            .get(&fd)
            .with_context(|| format!("descriptor {fd} is not open"))
    }

    fn keep(&mut self, fds: Vec<OwnedFd>) -> Result<Reply> {
        let described = fds.iter().map(sockets::describe).collect::<Result<_>>()?;
        self.sockets
            .extend(fds.into_iter().map(|fd| (fd.as_raw_fd(), fd)));
        Ok(Reply::Sockets(described))
    }

    fn listen(&mut self, address: SocketAddr, backlog: i32) -> Result<Reply> {
        let fd = sockets::tcp(&address)?;
        rustix::net::bind(&fd, &address)?;
        rustix::net::listen(&fd, backlog)?;
        self.keep(vec![fd])
    }

    fn connect(&mut self, address: SocketAddr, count: usize) -> Result<Reply> {
        let connect = |_| {
            let fd = sockets::tcp(&address)?;
            rustix::net::connect(&fd, &address)?;
            Ok(fd)
        };
        let fds = (0..count).map(connect).collect::<Result<_>>()?;
        self.keep(fds)
    }

    fn connect_unanswered(
        &mut self,
        address: SocketAddr,
        count: usize,
        deaf: bool,
    ) -> Result<Reply> {
        let connect = |_| {
            let fd = sockets::tcp(&address)?;
            rustix::io::ioctl_fionbio(&fd, true)?;
            if deaf {
                sockets::deafen(&fd)?;
            }
            match rustix::net::connect(&fd, &address) {
                Err(Errno::INPROGRESS) => Ok(fd),
                Ok(()) => bail!("it was answered"),
                Err(error) => Err(error.into()),
            }
        };
        let fds = (0..count).map(connect).collect::<Result<_>>()?;
        self.keep(fds)
    }

    fn accept(&mut self, fd: i32, count: usize) -> Result<Reply> {
        let listener = self.get(fd)?;
        let fds = (0..count)
            .map(|_| listen::accept_one(listener))
            .collect::<Result<_>>()?;
        self.keep(fds)
    }

    /// In a thread of another name, to distinguish the name of the thread from that of the process.
    fn in_thread(&mut self, order: Order) -> Result<Reply> {
        std::thread::scope(|scope| {
            let work = || -> Result<Reply> {
                let tid = rustix::thread::gettid().as_raw_nonzero().get();
                let reply = self.perform(order)?;
                Ok(Reply::Thread(tid.try_into()?, Box::new(reply)))
            };
            let thread = std::thread::Builder::new().name(super::THREAD.into());
            let ended = thread.spawn_scoped(scope, work)?.join();
            ended.unwrap_or_else(|_| bail!("the thread panicked"))
        })
    }

    fn shutdown(&self, fd: i32, how: Shutdown) -> Result<u64> {
        let fd = self.get(fd)?;
        let before = clock::monotonic_ns();
        rustix::net::shutdown(fd, how)?;
        Ok(before)
    }

    fn shutdown_all(&self, fds: &[i32]) -> Result<Reply> {
        let before = fds
            .iter()
            .map(|fd| self.shutdown(*fd, Shutdown::Write))
            .collect::<Result<Vec<_>>>()?;
        let after = fds
            .iter()
            .map(|fd| sockets::await_state(self.get(*fd)?, FIN_WAIT2));
        let after = after.collect::<Result<Vec<_>>>()?;
        Ok(Reply::Brackets(before.into_iter().zip(after).collect()))
    }

    fn close(&mut self, fds: &[i32], prepare: impl Fn(&OwnedFd) -> Result<()>) -> Result<Reply> {
        let before = clock::monotonic_ns();
        for number in fds {
            prepare(self.get(*number)?)?;
            self.sockets.remove(number);
        }
        Ok(Reply::Time(before))
    }

    fn keepalive(&self, fd: i32, idle: u32, interval: u32, count: u32) -> Result<Reply> {
        let fd = self.get(fd)?;
        sockopt::set_tcp_keepidle(fd, Duration::from_secs(idle.into()))?;
        sockopt::set_tcp_keepintvl(fd, Duration::from_secs(interval.into()))?;
        sockopt::set_tcp_keepcnt(fd, count)?;
        sockopt::set_socket_keepalive(fd, true)?;
        Ok(Reply::Done)
    }
}

/// Makes children that are started from now on run in a separate PID namespace.
fn unshare_pids() -> Result<()> {
    // SAFETY: unshare without CLONE_FILES or CLONE_VM does not affect memory or descriptors; only the namespace of
    // future children changes.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWPID) }
        .context("cannot make a PID namespace")
}

fn churn(count: usize, mut one: impl FnMut() -> Result<()>) -> Result<Reply> {
    let start = Instant::now();
    for _ in 0..count {
        one()?;
    }
    Ok(Reply::Time(u64::try_from(start.elapsed().as_nanos())?))
}

/// One connection of a churn: sends a byte, receives one, closes.
fn visit(address: &SocketAddr) -> Result<()> {
    let fd = sockets::tcp(address)?;
    rustix::net::connect(&fd, address)?;
    rustix::net::send(&fd, b"?", SendFlags::NOSIGNAL)?;
    read_byte(&fd)
}

/// The other side of it: it closes after the client.
fn serve(listener: &OwnedFd) -> Result<()> {
    let fd = listen::accept_one(listener)?;
    read_byte(&fd)?;
    rustix::net::send(&fd, b"!", SendFlags::NOSIGNAL)?;
    rustix::net::recv(&fd, &mut [0; 1], RecvFlags::empty())?;
    Ok(())
}

fn read_byte(fd: &OwnedFd) -> Result<()> {
    if rustix::net::recv(fd, &mut [0; 1], RecvFlags::empty())?.0 == 0 {
        bail!("the other side closed early");
    }
    Ok(())
}
