//! How often control groups were held back, because they may not use more processor time.
//!
//! Of the unified hierarchy, and of the group itself: one above it may have a limit, too.

use std::{collections::HashMap, fs, sync::Arc};

use super::file;
use crate::{
    model::cause::Throttled,
    source::machine::{cgroup, process},
};

/// What is found out about groups during one look.
#[derive(Debug, Default)]
pub struct Groups(HashMap<Arc<str>, Option<Throttled>>);

impl Groups {
    /// Of the process's group; `None` if it has no limit, or cannot be reached.
    pub fn of(&mut self, pid: u32) -> Option<Throttled> {
        let path = process::cgroup(pid)?;
        *(self.0.entry(path)).or_insert_with_key(|path| {
            let text = fs::read(cgroup::directory(path)?.join("cpu.stat")).ok()?;
            said(&text)
        })
    }
}

/// What `cpu.stat` says (`cpu_extra_stat_show`, `kernel/sched/core.c`). Without a limit there are no periods.
fn said(text: &[u8]) -> Option<Throttled> {
    let count = |name| file::number(file::value(text, name)?, 10);
    let periods = count("nr_periods ")?;
    let throttled = count("nr_throttled ")?;
    (periods > 0).then_some(Throttled { periods, throttled })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_group_without_a_limit_has_no_periods() {
        let text = b"usage_usec 10\nuser_usec 5\nsystem_usec 5\nnr_periods 20\nnr_throttled 3\nthrottled_usec 7\n";
        let expected = Throttled {
            periods: 20,
            throttled: 3,
        };
        assert_eq!(said(text), Some(expected));
        assert_eq!(said(b"nr_periods 0\nnr_throttled 0\n"), None);
        for none in [
            &b""[..],
            b"usage_usec 10\n",
            b"nr_periods 4\n",
            b"nr_periods x\nnr_throttled 1\n",
        ] {
            assert_eq!(said(none), None);
        }
    }

    #[test]
    fn a_process_that_is_gone_has_none() {
        assert_eq!(Groups::default().of(u32::MAX), None);
    }

    proptest! {
        #[test]
        fn noise_does_not_panic(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = said(&[&b"nr_throttled 1\nnr_periods "[..], &text].concat());
        }
    }
}
