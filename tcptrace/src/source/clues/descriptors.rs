//! How many descriptors a process has open, and how many it may.

use std::{fs, path::Path};

use super::file;

/// How many the process has open, as the size of its folder says it (`proc_readfd_count`, `fs/proc/fd.c`, since 6.2);
/// `None` on an older kernel.
pub fn open(process: &Path) -> Option<u64> {
    let size = fs::metadata(process.join("fd")).ok()?.len();
    (size > 0).then_some(size)
}

/// How many it may: the soft limit of `RLIMIT_NOFILE`.
pub fn limit(process: &Path) -> Option<u64> {
    soft(&fs::read(process.join("limits")).ok()?)
}

/// The first of the limits in the line (`proc_pid_limits`, `fs/proc/base.c`).
fn soft(text: &[u8]) -> Option<u64> {
    match file::value(text, "Max open files ")? {
        b"unlimited" => Some(u64::MAX),
        word => file::number(word, 10),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, iter};

    use proptest::prelude::*;
    use rustix::process::{Resource, getrlimit};

    use super::*;

    #[test]
    fn the_soft_limit_is_the_first_one() {
        let of = |value: &str| {
            let line =
                format!("Max open files            {value:<20} 524288               files     \n");
            soft(
                format!(
                    "Limit  Soft Limit  Hard Limit  Units\nMax processes 7 8 processes\n{line}"
                )
                .as_bytes(),
            )
        };
        assert_eq!(of("1024"), Some(1024));
        assert_eq!(of("unlimited"), Some(u64::MAX));
        assert_eq!(of("?"), None);
        assert_eq!(soft(b"Max open files "), None);
        assert_eq!(soft(b""), None);
    }

    #[test]
    fn the_own_ones_are_counted() {
        let own = Path::new("/proc/self");
        assert_eq!(
            limit(own),
            getrlimit(Resource::Nofile).current.or(Some(u64::MAX))
        );
        assert_eq!(
            (
                open(Path::new("/proc/none")),
                limit(Path::new("/proc/none"))
            ),
            (None, None)
        );
        // Other tests open and close descriptors meanwhile.
        let more: Vec<_> = iter::repeat_with(|| File::open("/dev/null"))
            .take(500)
            .collect();
        let Some(count) = open(own) else { return };
        assert!(
            more.iter().all(Result::is_ok) && (500..5000).contains(&count),
            "{count}"
        );
    }

    proptest! {
        #[test]
        fn noise_does_not_panic(tail in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = soft(&[&b"Max open files "[..], &tail].concat());
        }
    }
}
