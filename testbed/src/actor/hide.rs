//! Sockets that stay open without a descriptor.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::io::Errno;
use rustix::net::{SendFlags, sockopt};

use super::orders::Hiding;
use crate::clock;

/// Makes something keep the socket open after its descriptor; returns what has to be kept for that, or the number of
/// the error with which the kernel refuses.
pub fn hide(fd: &OwnedFd, how: Hiding) -> Result<Result<Option<OwnedFd>, i32>> {
    match how {
        Hiding::IoUring => return Ok(register(fd).map(Some)),
        Hiding::Mapping => return Ok(map(fd).map(|()| None)),
        Hiding::Write => {
            fill(fd)?;
            blocked(fd, |fd| {
                let byte = [b'x'];
                // SAFETY: the kernel reads one byte of `byte`, which lives through the call.
                unsafe { libc::write(fd, byte.as_ptr().cast(), 1) };
            })?;
        }
        Hiding::Poll => blocked(fd, |fd| {
            let events = libc::POLLPRI;
            let mut one = libc::pollfd {
                fd,
                events,
                revents: 0,
            };
            // SAFETY: the kernel reads and writes one `pollfd`, which lives through the call.
            unsafe { libc::poll(&raw mut one, 1, -1) };
        })?,
    }
    Ok(Ok(None))
}

fn last_error() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Registers a descriptor with a new ring, which the kernel then keeps open.
fn register(fd: &OwnedFd) -> Result<OwnedFd, i32> {
    /// `IORING_REGISTER_FILES` and the size of `struct io_uring_params` in `linux/io_uring.h`.
    const REGISTER_FILES: libc::c_long = 2;
    let mut params = [0u64; 15];
    // SAFETY: the kernel reads and writes the 120 bytes of `params`.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, params.as_mut_ptr()) };
    if ring < 0 {
        return Err(last_error());
    }
    // SAFETY: the call has just made this descriptor, and nothing else owns it.
    let ring = unsafe { OwnedFd::from_raw_fd(ring as i32) };
    let files = [fd.as_raw_fd()];
    let (call, number) = (libc::SYS_io_uring_register, ring.as_raw_fd());
    // SAFETY: the kernel reads one number of `files`.
    match unsafe { libc::syscall(call, number, REGISTER_FILES, files.as_ptr(), 1) } {
        0 => Ok(ring),
        _ => Err(last_error()),
    }
}

/// Maps a page of the socket, for as long as the process lives.
fn map(fd: &OwnedFd) -> Result<(), i32> {
    let (read, shared) = (libc::PROT_READ, libc::MAP_SHARED);
    // SAFETY: a new mapping at an address that the kernel chooses affects no other memory.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), 4096, read, shared, fd.as_raw_fd(), 0) };
    match at {
        libc::MAP_FAILED => Err(last_error()),
        _ => Ok(()),
    }
}

/// Sends until the peer, which does not read, takes no more.
fn fill(fd: &OwnedFd) -> Result<()> {
    sockopt::set_socket_send_buffer_size(fd, 4096)?;
    let (much, flags) = (vec![b'x'; 1 << 16], SendFlags::NOSIGNAL);
    rustix::io::ioctl_fionbio(fd, true)?;
    let start = Instant::now();
    let mut full = 0;
    // What is on its way makes room when it is acknowledged, which may be delayed.
    while full < 50 {
        match rustix::net::send(fd, &much, flags) {
            Ok(_) => full = 0,
            Err(Errno::AGAIN) => full += 1,
            Err(error) => return Err(error.into()),
        }
        ensure!(start.elapsed() < clock::patience(), "the peer reads");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(rustix::io::ioctl_fionbio(fd, false)?)
}

/// Starts a thread that is blocked in a call on the descriptor until the process ends.
fn blocked(fd: &OwnedFd, call: impl Fn(i32) + Send + 'static) -> Result<()> {
    let (number, tid) = (fd.as_raw_fd(), Arc::new(AtomicI32::new(0)));
    let told = Arc::clone(&tid);
    let thread = std::thread::Builder::new().name(super::THREAD.into());
    let thread = thread.spawn(move || {
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        // Its next sleep is the call.
        told.store(own, Ordering::Release);
        call(number);
    })?;
    let start = Instant::now();
    loop {
        let stat = format!("/proc/self/task/{}/stat", tid.load(Ordering::Acquire));
        if std::fs::read_to_string(stat).is_ok_and(|stat| stat.contains(") S ")) {
            return Ok(());
        }
        ensure!(!thread.is_finished(), "the call does not block");
        ensure!(
            start.elapsed() < clock::patience(),
            "the thread does not sleep"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}
