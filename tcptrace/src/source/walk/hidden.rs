//! Who holds a socket that no descriptor shows. Everything here is slow: it is only asked about
//! sockets that are in no table of descriptors.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
};

use procfs::process::{FDTarget, Process, all_processes};

use crate::model::{
    owner::{Holder, Via},
    stuck::look::Descriptor,
};

/// What processes show about sockets that they hold without a descriptor.
#[derive(Debug, Default)]
struct Signs {
    /// Sockets that are named: as a registered file of `io_uring`, or as a mapping.
    named: Vec<Descriptor>,
    /// Unix sockets in which descriptors wait, and the processes that can receive them.
    in_flight: HashMap<u64, Vec<Holder>>,
    /// Processes with a thread in a call on a descriptor that is closed.
    in_use: Vec<Holder>,
}

/// The holders of the sockets with these inodes, as far as they can be told. Where a sign does not
/// name the socket, it counts only if it is the only one.
#[must_use]
pub fn find(inodes: &HashSet<u64>) -> Vec<Descriptor> {
    let mut signs = Signs::default();
    // This process reads its own signs, and seems to be in a call on a file that it has closed since.
    let own = std::process::id();
    let processes = all_processes().into_iter().flatten().flatten();
    for process in processes.filter(|process| process.pid.cast_unsigned() != own) {
        signs.add(&process, inodes);
    }
    let named: HashSet<u64> = signs.named.iter().map(|one| one.inode).collect();
    let others = inodes.iter().filter(|inode| !named.contains(inode));
    let mut found = signs.named;
    // Several places may be meant: then nobody is named.
    let in_use = signs.in_use.into_iter().map(|holder| vec![holder]);
    let places: Vec<_> = signs.in_flight.into_values().chain(in_use).collect();
    if let [only] = &places[..] {
        for inode in others {
            found.extend(only.iter().map(|holder| Descriptor {
                inode: *inode,
                holder: holder.clone(),
            }));
        }
    }
    found
}

impl Signs {
    fn add(&mut self, process: &Process, inodes: &HashSet<u64>) {
        let pid = process.pid.cast_unsigned();
        let holder = |via| Holder {
            pid,
            tid: None,
            fd: None,
            via,
            comm: process.stat().map(|stat| stat.comm).unwrap_or_default(),
        };
        let folder = Path::new("/proc").join(pid.to_string());
        let mut targets = HashMap::new();
        for descriptor in process.fd().into_iter().flatten().flatten() {
            targets.insert(descriptor.fd, descriptor.target);
        }
        for (fd, target) in &targets {
            let text = || fs::read_to_string(folder.join(format!("fdinfo/{fd}")));
            match target {
                FDTarget::AnonInode(kind) if kind.contains("io_uring") => {
                    let text = text().unwrap_or_default();
                    self.named
                        .extend(named(&text, inodes).map(|inode| Descriptor {
                            inode,
                            holder: holder(Via::IoUring),
                        }));
                }
                FDTarget::Socket(inode) if text().is_ok_and(|text| has_messages(&text)) => {
                    let fd = u32::try_from(*fd).ok();
                    let receiver = Holder {
                        fd,
                        ..holder(Via::InFlight)
                    };
                    self.in_flight.entry(*inode).or_default().push(receiver);
                }
                _ => {}
            }
        }
        let maps = fs::read_to_string(folder.join("maps")).unwrap_or_default();
        self.named
            .extend(named(&maps, inodes).map(|inode| Descriptor {
                inode,
                holder: holder(Via::Mapping),
            }));
        // Some descriptors lead to what the library does not know; they are open all the same.
        let is_open = |fd: i32| folder.join(format!("fd/{fd}")).is_symlink();
        // A kernel thread has no memory of its own and seems to be in call 0.
        if !maps.is_empty() && in_call_on_closed(&folder, is_open) {
            self.in_use.push(holder(Via::InUse));
        }
    }
}

/// Those of the inodes that a text names as `socket:[…]`.
fn named<'a>(text: &'a str, inodes: &'a HashSet<u64>) -> impl Iterator<Item = u64> + 'a {
    text.split("socket:[")
        .skip(1)
        .filter_map(|rest| rest.split_once(']')?.0.parse().ok())
        .filter(|inode| inodes.contains(inode))
}

/// Whether descriptors wait in a Unix socket (`unix_show_fdinfo`, `net/unix/af_unix.c`).
fn has_messages(fdinfo: &str) -> bool {
    let count = fdinfo
        .lines()
        .find_map(|line| line.strip_prefix("scm_fds:"));
    count.is_some_and(|count| count.trim() != "0")
}

/// Whether a thread of the process is in a call that works on a descriptor which is not open. It still
/// is after that was seen: otherwise the call may have ended before.
fn in_call_on_closed(process: &Path, is_open: impl Fn(i32) -> bool) -> bool {
    let threads = fs::read_dir(process.join("task")).into_iter().flatten();
    threads.flatten().any(|thread| {
        let call = || fs::read_to_string(thread.path().join("syscall")).ok();
        let Some(text) = call() else { return false };
        descriptor_of_call(&text).is_some_and(|fd| !is_open(fd)) && call() == Some(text)
    })
}

/// The descriptor that a blocked call reads from or writes to: the number of the call and its first
/// argument (`proc_pid_syscall`).
fn descriptor_of_call(text: &str) -> Option<i32> {
    const CALLS: [libc::c_long; 14] = [
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_readv,
        libc::SYS_writev,
        libc::SYS_sendto,
        libc::SYS_recvfrom,
        libc::SYS_sendmsg,
        libc::SYS_recvmsg,
        libc::SYS_sendmmsg,
        libc::SYS_recvmmsg,
        libc::SYS_sendfile,
        libc::SYS_splice,
        libc::SYS_preadv2,
        libc::SYS_pwritev2,
    ];
    let mut words = text.split_whitespace();
    let call: libc::c_long = words.next()?.parse().ok()?;
    let first = words.next()?.strip_prefix("0x")?;
    let first = u64::from_str_radix(first, 16).ok()?;
    (CALLS.contains(&call)).then_some(())?;
    i32::try_from(first & 0xffff_ffff).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_named_by_their_inodes() {
        let inodes = HashSet::from([7, 9]);
        let text = "UserFiles:\t2\n    0: socket:[7]\n    1: socket:[8]\n x socket:[9";
        let found: Vec<_> = named(text, &inodes).collect();
        assert_eq!(found, [7]);
    }

    #[test]
    fn messages_are_counted() {
        assert!(has_messages("pos:\t0\nscm_fds: 2\n"));
        assert!(!has_messages("pos:\t0\nscm_fds: 0\n"));
        assert!(!has_messages("pos:\t0\n"));
    }

    #[test]
    fn a_blocked_call_names_its_descriptor() {
        let text = format!(
            "{} 0x5 0x7f 0x10 0x0 0x0 0x0 0x7ffe 0x7f\n",
            libc::SYS_write
        );
        assert_eq!(descriptor_of_call(&text), Some(5));
        let text = format!("{} 0x5 0x7f\n", libc::SYS_futex);
        assert_eq!(descriptor_of_call(&text), None);
        assert_eq!(descriptor_of_call("running\n"), None);
    }
}
