//! The kernel's own counts of the sockets in a namespace.

use std::fs;

use anyhow::{Context, Result};
use testbed::Netns;

/// The number behind `name` in the line about TCP: `inuse` (all but those in TIME_WAIT) or `tw`.
pub fn count(netns: &Netns, name: &str) -> Result<usize> {
    let text = netns.run(|| fs::read_to_string("/proc/thread-self/net/sockstat"))??;
    parse(&text, name).context("cannot read the kernel's count of sockets")
}

fn parse(text: &str, name: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix("TCP: "))?;
    let mut words = line.split(' ');
    words.find(|word| *word == name)?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_number_follows_its_name() {
        let text = "sockets: used 9\nTCP: inuse 11 orphan 1 tw 5 alloc 12 mem 3\nUDP: inuse 2\n";
        assert_eq!(parse(text, "inuse"), Some(11));
        assert_eq!(parse(text, "tw"), Some(5));
        assert_eq!(parse(text, "used"), None);
    }
}
