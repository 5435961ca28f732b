//! Who holds a socket that no descriptor shows. Everything here is slow: it is only asked about
//! sockets that are in no table of descriptors, and not at each look.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    process,
};

use procfs::process::{FDTarget, Process, all_processes};

use crate::{
    model::{
        owner::{Holder, Via},
        stuck::look::Descriptor,
    },
    source::machine::clock::monotonic_ns,
};

/// What processes show about sockets that they hold without a descriptor.
#[derive(Debug, Default)]
struct Signs {
    /// Sockets that are named: as a registered file of `io_uring`, or as a mapping.
    named: Vec<Descriptor>,
    /// Unix sockets in which descriptors wait: how many, and the processes that can receive them.
    in_flight: HashMap<u64, (usize, Vec<Holder>)>,
    /// Processes with threads in a call on a TCP socket whose descriptor is closed: how many.
    in_use: Vec<(usize, Holder)>,
}

/// How long an answer is used again: what holds a socket without a descriptor keeps it for long.
const VALID_NS: u64 = 10_000_000_000;

/// Answers for some time.
#[derive(Debug, Default)]
pub struct Hidden(HashMap<u64, (u64, Vec<Descriptor>)>);

impl Hidden {
    /// The holders of the sockets with these inodes, as far as they can be told; `messages_read`: no
    /// socket is in a message.
    pub fn find(&mut self, inodes: &HashSet<u64>, messages_read: bool) -> Vec<Descriptor> {
        let now_ns = monotonic_ns();
        self.0
            .retain(|_, (asked_ns, _)| now_ns.saturating_sub(*asked_ns) < VALID_NS);
        if inodes.iter().any(|inode| !self.0.contains_key(inode)) {
            let found = find(inodes, messages_read);
            for inode in inodes {
                let held = found.iter().filter(|one| one.inode == *inode);
                self.0.insert(*inode, (now_ns, held.cloned().collect()));
            }
        }
        let held = inodes.iter().filter_map(|inode| self.0.get(inode));
        held.flat_map(|(_, held)| held.iter().cloned()).collect()
    }
}

/// The holders of the sockets with these inodes, as far as they can be told. A sign that does not name
/// the socket counts only if it is the only one, and of as many descriptors as there are sockets:
/// otherwise another process may be meant. `messages_read`: no socket is in a message.
fn find(inodes: &HashSet<u64>, messages_read: bool) -> Vec<Descriptor> {
    let mut signs = Signs::default();
    let processes = all_processes().into_iter().flatten().flatten();
    // What this process does while it looks is no sign.
    let own = process::id();
    for process in processes.filter(|one| one.pid.cast_unsigned() != own) {
        signs.add(&process, inodes, messages_read);
    }
    let named: HashSet<u64> = signs.named.iter().map(|one| one.inode).collect();
    let others: Vec<u64> = inodes.difference(&named).copied().collect();
    let mut found = signs.named;
    let in_use = signs.in_use.into_iter();
    let in_use = in_use.map(|(count, holder)| (count, vec![holder]));
    let places: Vec<_> = signs.in_flight.into_values().chain(in_use).collect();
    if let [(count, holders)] = &places[..]
        && *count == others.len()
    {
        for inode in others {
            found.extend(holders.iter().map(|holder| Descriptor {
                inode,
                holder: holder.clone(),
            }));
        }
    }
    found
}

impl Signs {
    fn add(&mut self, process: &Process, inodes: &HashSet<u64>, messages_read: bool) {
        let pid = process.pid.cast_unsigned();
        let holder = |via| Holder {
            pid,
            tid: None,
            fd: None,
            via,
            comm: process.stat().map(|stat| stat.comm).unwrap_or_default(),
        };
        let folder = Path::new("/proc").join(pid.to_string());
        for descriptor in process.fd().into_iter().flatten().flatten() {
            let fd = descriptor.fd;
            let text = || fs::read_to_string(folder.join(format!("fdinfo/{fd}")));
            match descriptor.target {
                FDTarget::AnonInode(kind) if kind.contains("io_uring") => {
                    let text = text().unwrap_or_default();
                    self.named
                        .extend(named(&text, inodes).map(|inode| Descriptor {
                            inode,
                            holder: holder(Via::IoUring),
                        }));
                }
                FDTarget::Socket(inode) if !messages_read => {
                    let count = text().map_or(0, |text| descriptors_waiting(&text));
                    if count > 0 {
                        let receiver = Holder {
                            fd: u32::try_from(fd).ok(),
                            ..holder(Via::InFlight)
                        };
                        let (waiting, receivers) = self.in_flight.entry(inode).or_default();
                        *waiting = count;
                        receivers.push(receiver);
                    }
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
        let count = calls_on_closed(&folder, is_open);
        if count > 0 {
            self.in_use.push((count, holder(Via::InUse)));
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

/// How many descriptors wait in a Unix socket (`unix_show_fdinfo`, `net/unix/af_unix.c`).
fn descriptors_waiting(fdinfo: &str) -> usize {
    let count = fdinfo
        .lines()
        .find_map(|line| line.strip_prefix("scm_fds:"));
    count.map_or(0, |count| count.trim().parse().unwrap_or(0))
}

/// How many threads of the process are in a call on a TCP socket whose descriptor is not open. What a
/// call works on is shown by the kernel's functions that it is in.
fn calls_on_closed(process: &Path, is_open: impl Fn(i32) -> bool) -> usize {
    let threads = fs::read_dir(process.join("task")).into_iter().flatten();
    let on_closed = |thread: &Path| {
        let text = fs::read_to_string(thread.join("syscall")).ok()?;
        let fd = descriptor_of_call(&text)?;
        (!is_open(fd)).then_some(())?;
        let stack = fs::read_to_string(thread.join("stack")).ok()?;
        is_in_tcp(&stack).then_some(())
    };
    let threads = threads.flatten().map(|thread| thread.path());
    threads.filter(|thread| on_closed(thread).is_some()).count()
}

/// Whether a function of TCP is on a stack (`proc_pid_stack`): one line each, `[<0>] name+0x…`.
fn is_in_tcp(stack: &str) -> bool {
    (stack.lines()).any(|line| {
        line.rsplit(' ')
            .next()
            .is_some_and(|name| name.starts_with("tcp_"))
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
    fn descriptors_in_messages_are_counted() {
        assert_eq!(descriptors_waiting("pos:\t0\nscm_fds: 2\n"), 2);
        assert_eq!(descriptors_waiting("pos:\t0\nscm_fds: 0\n"), 0);
        assert_eq!(descriptors_waiting("pos:\t0\n"), 0);
    }

    #[test]
    fn only_functions_of_tcp_count() {
        let stack = "[<0>] sk_stream_wait_memory+0x2a\n[<0>] tcp_sendmsg_locked+0x4e1/0xe30\n";
        assert!(is_in_tcp(stack));
        assert!(!is_in_tcp(
            "[<0>] anon_pipe_write+0x3f\n[<0>] not_tcp_+0x1\n"
        ));
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
