//! How many TCP sockets a network namespace has, as the kernel counts them.

use std::{fs, io, path::Path};

use procfs::sys::kernel::Version as KernelVersion;

use crate::source::machine::netns::{self, Namespace};

/// What the kernel counts in a namespace (`sockstat_seq_show`, `net/ipv4/proc.c`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sockets in all states but CLOSE, with a process or without.
    pub in_use: u64,
    /// What is no socket any more: TIME_WAIT, and remainders in FIN_WAIT2.
    pub time_wait: u64,
}

/// What the kernel counts in a namespace.
///
/// # Errors
/// When the namespace is gone or cannot be looked into.
pub fn of(namespace: &Namespace) -> io::Result<Counts> {
    inside(namespace, |net| {
        let text = fs::read_to_string(net.join("sockstat"))?;
        let v4 = number(&text, "TCP: inuse ").ok_or(io::ErrorKind::InvalidData)?;
        // Without IPv6 there is no such file.
        let v6 = fs::read_to_string(net.join("sockstat6")).unwrap_or_default();
        Ok(Counts {
            in_use: v4 + number(&v6, "TCP6: inuse ").unwrap_or(0),
            time_wait: word(&text, " tw ").ok_or(io::ErrorKind::InvalidData)?,
        })
    })
}

/// About how many TCP sockets the machine has, in all namespaces; 0 if unknown.
#[must_use]
pub fn allocated() -> u64 {
    let text = fs::read_to_string("/proc/self/net/sockstat").unwrap_or_default();
    word(&text, " alloc ").unwrap_or(0)
}

/// How many sockets their process has closed, in all namespaces; 1 if unknown.
#[must_use]
pub fn orphans() -> u64 {
    let text = fs::read_to_string("/proc/self/net/sockstat").unwrap_or_default();
    word(&text, " orphan ").unwrap_or(1)
}

/// The number behind `name` in the line about TCP.
fn word(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("TCP:"))?;
    let (_, rest) = line.split_once(name)?;
    rest.split(' ').next()?.parse().ok()
}

/// The number of sockets in ESTABLISHED and CLOSE_WAIT (`TCP_MIB_CURRESTAB`): before 6.11, and in
/// kernels that did not take over the change, those in CLOSE_WAIT may be missing.
///
/// # Errors
/// As [`of`].
pub fn established(namespace: &Namespace) -> io::Result<u64> {
    inside(namespace, |net| {
        let text = fs::read_to_string(net.join("snmp"))?;
        column(&text, "Tcp:", "CurrEstab").ok_or_else(|| io::ErrorKind::InvalidData.into())
    })
}

/// Whether [`established`] counts sockets in CLOSE_WAIT for certain: from 6.11 on.
#[must_use]
pub fn counts_close_wait() -> bool {
    KernelVersion::current().is_ok_and(|version| version >= KernelVersion::new(6, 11, 0))
}

/// Gives `read` the folder with the namespace's files: that of a process in it, or this thread's.
fn inside<T: Send>(
    namespace: &Namespace,
    read: impl FnOnce(&Path) -> io::Result<T> + Send,
) -> io::Result<T> {
    let process = namespace.path.parent().and_then(Path::parent);
    let is_of_process = namespace.path.starts_with("/proc") && namespace.path.ends_with("ns/net");
    let of_process = process.filter(|_| is_of_process);
    if let Some(process) = of_process {
        let value = read(&process.join("net"))?;
        // Meanwhile the process may have ended, and another may have its number.
        return if netns::inode_of(&namespace.path)? == namespace.inode {
            Ok(value)
        } else {
            Err(io::ErrorKind::NotFound.into())
        };
    }
    netns::inside(namespace, || read(Path::new("/proc/thread-self/net")))
}

fn number(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.split(' ').next()?.parse().ok()
}

/// The value below `name` in a pair of lines: one of names and one of values.
fn column(text: &str, label: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(label));
    let (names, values) = (lines.next()?, lines.next()?);
    let index = names.split_whitespace().position(|one| one == name)?;
    values.split_whitespace().nth(index)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{column, number, word};

    #[test]
    fn numbers_are_found_by_their_labels() {
        let text = "sockets: used 9\nTCP: inuse 11 orphan 1 tw 5 alloc 12 mem 3\nUDP: inuse 2\n";
        assert_eq!(number(text, "TCP: inuse "), Some(11));
        assert_eq!(number(text, "TCP6: inuse "), None);
        assert_eq!(
            (word(text, " tw "), word(text, " alloc ")),
            (Some(5), Some(12))
        );
        let text = "Ip: A B\nIp: 1 2\nTcp: RtoMin CurrEstab InSegs\nTcp: 200 7 9\n";
        assert_eq!(column(text, "Tcp:", "CurrEstab"), Some(7));
        assert_eq!(column(text, "Tcp:", "OutRsts"), None);
    }
}
