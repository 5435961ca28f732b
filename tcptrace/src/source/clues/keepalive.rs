//! `net.ipv4.tcp_keepalive_*` of network namespaces.
//!
//! Of `/proc/sys/net` the kernel shows whoever opens a file those of the namespace that this thread is in
//! (`net_ctl_header_lookup`, `net/sysctl_net.c`), so a thread goes there.

use std::{
    collections::{BTreeSet, HashMap},
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::file;
use crate::{
    model::cause::KeepaliveSysctls,
    source::machine::netns::{Namespace, inside},
};

/// So many namespaces are asked in one look.
const AT_ONCE: usize = 16;
/// How long an answer is used again.
const VALID: Duration = Duration::from_secs(60);

/// Answers for some time, by namespace; `None` where there was none.
#[derive(Debug, Default)]
pub struct Keepalive(HashMap<u32, (Instant, Option<KeepaliveSysctls>)>);

impl Keepalive {
    /// Those of the namespaces that are to be asked now, and whether there are more.
    pub fn due(&mut self, wanted: &BTreeSet<u32>) -> (BTreeSet<u32>, bool) {
        self.0.retain(|_, (read, _)| read.elapsed() < VALID);
        let due = wanted.iter().filter(|inode| !self.0.contains_key(inode));
        let mut due: BTreeSet<u32> = due.copied().collect();
        let later = due.iter().nth(AT_ONCE).copied();
        if let Some(later) = later {
            due.split_off(&later);
        }
        (due, later.is_some())
    }

    /// Asks these. `paths`: what leads to namespaces.
    pub fn ask(&mut self, due: BTreeSet<u32>, paths: &HashMap<u32, PathBuf>) {
        let now = Instant::now();
        for inode in due {
            let there = |path: &PathBuf| Namespace {
                inode,
                path: path.clone(),
            };
            let found = paths.get(&inode).map(there);
            let found = found.and_then(|there| inside(&there, sysctls).ok());
            self.0.insert(inode, (now, found));
        }
    }

    /// What is known of these namespaces.
    pub fn of(&self, wanted: &BTreeSet<u32>) -> HashMap<u32, KeepaliveSysctls> {
        let known = |inode: &u32| Some((*inode, self.0.get(inode)?.1?));
        wanted.iter().filter_map(known).collect()
    }
}

/// Those of the calling thread's namespace.
fn sysctls() -> io::Result<KeepaliveSysctls> {
    let read = |name: &str| {
        let path = Path::new("/proc/sys/net/ipv4").join(name);
        said(&fs::read(path)?).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    };
    Ok(KeepaliveSysctls {
        time_s: read("tcp_keepalive_time")?,
        interval_s: read("tcp_keepalive_intvl")?,
        probes: read("tcp_keepalive_probes")?,
    })
}

/// One number, in s where it is a time (`proc_dointvec_jiffies`, `kernel/sysctl.c`).
fn said(text: &[u8]) -> Option<u32> {
    file::small(text.trim_ascii(), 10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::machine::netns::own;

    #[test]
    fn the_own_ones_are_read() {
        let own = own().expect("there is one");
        let wanted = BTreeSet::from([own, 1]);
        let mut keepalive = Keepalive::default();
        let (due, more) = keepalive.due(&wanted);
        assert_eq!((&due, more), (&wanted, false));
        keepalive.ask(due, &HashMap::from([(own, "/proc/self/ns/net".into())]));
        let known = keepalive.of(&wanted);
        assert_eq!(known.get(&own).copied(), sysctls().ok());
        assert_eq!(known.get(&1), None);
        // Also what cannot be asked is not tried at each look.
        assert_eq!(keepalive.due(&wanted), (BTreeSet::new(), false));
    }

    #[test]
    fn some_are_left_for_the_next_look() {
        let wanted: BTreeSet<u32> = (0..20).collect();
        let mut keepalive = Keepalive::default();
        let (due, more) = keepalive.due(&wanted);
        assert_eq!((due.len(), more), (AT_ONCE, true));
        keepalive.ask(due, &HashMap::new());
        assert_eq!(keepalive.due(&wanted), ((16..20).collect(), false));
    }

    #[test]
    fn a_number_is_a_number() {
        assert_eq!(said(b"7200\n"), Some(7200));
        for none in [&b""[..], b"-1\n", b"1 2\n", b"4294967296\n"] {
            assert_eq!(said(none), None);
        }
    }

    proptest! {
        #[test]
        fn noise_does_not_panic(text in prop::collection::vec(any::<u8>(), 0..20)) {
            let _ = said(&text);
        }
    }
}
