//! Network interfaces.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::net::Ipv6Addr;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};
use rustix::net::{AddressFamily, SocketType};

use super::Netns;

/// An interface beside the loopback, with one address. It disappears when dropped.
///
/// Nothing is on its other side. But the kernel treats what a process sends to the interface's own IPv6 address as if
/// it had arrived there.
#[derive(Debug)]
pub struct Device {
    _tunnel: File,
}

impl Device {
    /// Adds an interface with a name of at most 15 bytes to a namespace.
    pub fn new(netns: &Netns, name: &str, address: Ipv6Addr) -> Result<Self> {
        let name = name.to_owned();
        netns.run(move || tunnel(&name, address))?
    }
}

/// A tunnel whose far end is this descriptor: unlike other kinds of interfaces it needs no netlink, and the address is
/// usable at once.
fn tunnel(name: &str, address: Ipv6Addr) -> Result<Device> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
        .context("cannot open /dev/net/tun")?;
    let mut wanted = request(name);
    wanted.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes an ifreq, which `wanted` is, with its name ended by a NUL.
    let made = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw mut wanted) };
    checked(made).context("TUNSETIFF")?;
    up(name)?;
    give_address(name, address)?;
    Ok(Device { _tunnel: file })
}

/// Brings an interface of this thread's network namespace up.
pub fn up(name: &str) -> Result<()> {
    let any = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let mut request = request(name);
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which `request` is, with its name ended by a NUL.
    let result =
        unsafe { libc::ioctl(any.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) };
    checked(result).context("SIOCSIFFLAGS")
}

fn give_address(name: &str, address: Ipv6Addr) -> Result<()> {
    let any = rustix::net::socket(AddressFamily::INET6, SocketType::DGRAM, None)?;
    let name = CString::new(name)?;
    // SAFETY: the name is a string that ends with a NUL and lives through the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    let request = libc::in6_ifreq {
        ifr6_addr: libc::in6_addr {
            s6_addr: address.octets(),
        },
        ifr6_prefixlen: 128,
        ifr6_ifindex: index.try_into()?,
    };
    // SAFETY: SIOCSIFADDR of an IPv6 socket reads an in6_ifreq, which `request` is.
    let result =
        unsafe { libc::ioctl(any.as_raw_fd(), libc::SIOCSIFADDR as _, &raw const request) };
    checked(result).context("SIOCSIFADDR")
}

/// A request about the interface of this name; a longer one is cut off.
fn request(name: &str) -> libc::ifreq {
    // SAFETY: an all-zero ifreq is a valid one, of plain numbers and bytes.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let last = request.ifr_name.len() - 1;
    for (to, from) in request.ifr_name[..last].iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request
}

fn checked(result: libc::c_int) -> Result<()> {
    ensure!(result == 0, "{}", std::io::Error::last_os_error());
    Ok(())
}
