//! Socket functions that have no safe wrapper, and functions that describe a socket.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, sockopt};

use super::state::name;
use crate::{Socket, clock};

/// `IPPROTO_MPTCP` of `linux/in.h`.
const MPTCP: u32 = 262;

/// Whether this process's sockets speak MPTCP.
static SPEAKS_MPTCP: AtomicBool = AtomicBool::new(false);

/// Makes all sockets of this process from now on speak MPTCP.
pub fn speak_mptcp() -> Result<(), Errno> {
    let mptcp = NonZeroU32::new(MPTCP).map(Protocol::from_raw);
    rustix::net::socket(AddressFamily::INET, SocketType::STREAM, mptcp)?;
    SPEAKS_MPTCP.store(true, Ordering::Relaxed);
    Ok(())
}

/// A new TCP socket of the family of `address`, closed on exec.
pub fn tcp(address: &SocketAddr) -> Result<OwnedFd> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let mptcp = NonZeroU32::new(MPTCP).filter(|_| SPEAKS_MPTCP.load(Ordering::Relaxed));
    let protocol = mptcp.map(Protocol::from_raw);
    let fd = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, protocol)?;
    if address.is_ipv6() {
        // A v4-mapped address needs a socket for both families.
        sockopt::set_ipv6_v6only(&fd, false)?;
    }
    Ok(fd)
}

/// The description of an own socket.
pub fn describe(fd: &OwnedFd) -> Result<Socket> {
    let local = rustix::net::getsockname(fd)?
        .try_into()
        .map_err(|_| anyhow!("not an internet socket"))?;
    let remote = rustix::net::getpeername(fd)
        .ok()
        .flatten()
        .and_then(|address| address.try_into().ok());
    let (cookie, inode) = (sockopt::socket_cookie(fd)?, rustix::fs::fstat(fd)?.st_ino);
    Ok(Socket {
        fd: fd.as_raw_fd(),
        cookie,
        inode,
        local,
        remote,
    })
}

/// The state the kernel has the socket in.
pub fn state_of(fd: impl AsFd) -> Result<u8> {
    let mut info = [0u8; 8];
    let mut length = info.len() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, which is the size of `info`; both live through the call.
    let result = unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(std::io::Error::last_os_error()).context("TCP_INFO");
    }
    Ok(info[0])
}

/// Waits until the socket is in a state, and returns the time at which that was seen.
///
/// Usually the state changes within microseconds, and the time should be as precise. Longer waits depend on timers, and
/// checking too often would disturb these (the kernel delays them while a check holds the socket's lock).
pub fn await_state(fd: impl AsFd, wanted: u8) -> Result<u64> {
    let start = Instant::now();
    loop {
        let found = state_of(&fd)?;
        if found == wanted {
            return Ok(clock::monotonic_ns());
        }
        if start.elapsed() > clock::patience() {
            bail!("still {} ({found}), not {}", name(found), name(wanted));
        }
        let soon = start.elapsed() < Duration::from_millis(100);
        std::thread::sleep(if soon {
            Duration::from_micros(20)
        } else {
            Duration::from_millis(2)
        });
    }
}

/// Waits until all of them are in a state; returns for each when it was last seen in another one, and when it was
/// first seen in this one.
pub fn await_all(fds: &[impl AsFd], wanted: u8) -> Result<Vec<(u64, u64)>> {
    let start = Instant::now();
    let mut seen = vec![(clock::monotonic_ns(), None); fds.len()];
    loop {
        for (fd, (before, after)) in fds.iter().zip(&mut seen) {
            if after.is_some() {
                continue;
            }
            let now = clock::monotonic_ns();
            match state_of(fd)? == wanted {
                true => *after = Some(clock::monotonic_ns()),
                false => *before = now,
            }
        }
        let pairs = seen
            .iter()
            .map(|(before, after)| Some((*before, (*after)?)));
        if let Some(all) = pairs.collect() {
            return Ok(all);
        }
        if start.elapsed() > clock::patience() {
            bail!("not all are {}: {seen:?}", name(wanted));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Makes the socket drop every packet without an answer, by a filter that accepts nothing.
pub fn deafen(fd: impl AsFd) -> Result<()> {
    // One instruction: return 0, "keep no byte of the packet".
    let mut nothing = libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: 0,
    };
    let program = libc::sock_fprog {
        len: 1,
        filter: &raw mut nothing,
    };
    // SAFETY: `program` points to one instruction; the kernel copies both before the call returns.
    let result = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if result != 0 {
        return Err(std::io::Error::last_os_error()).context("SO_ATTACH_FILTER");
    }
    Ok(())
}

/// Makes the socket receive again.
pub fn hear(fd: impl AsFd) -> Result<()> {
    let nothing = 0i32;
    // SAFETY: SO_DETACH_FILTER takes no value; the kernel may read as many bytes of `nothing` as the call says.
    let result = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_DETACH_FILTER,
            (&raw const nothing).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if result != 0 {
        return Err(std::io::Error::last_os_error()).context("SO_DETACH_FILTER");
    }
    Ok(())
}

/// Brings the loopback of this thread's network namespace up.
pub fn loopback_up() -> Result<()> {
    super::device::up("lo")
}
