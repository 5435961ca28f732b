//! What the threads of a process wait for, as far as it ends by itself: a time-out, or a child process that works.
//!
//! `/proc/PID/task/TID/syscall` has the call, its arguments and two addresses (`proc_pid_syscall`, `fs/proc/base.c`). A
//! program of 32 bits has other numbers of calls; what they seem to mean only makes an answer more careful.

use std::{fs::File, io, iter, os::unix::fs::FileExt as _, path::Path, time::Duration};

use rustix::time::{ClockId, clock_gettime};

use super::file;
use crate::{
    model::cause::Waits,
    source::machine::{process, threads},
};

/// So many threads of a process are looked at.
const THREADS: usize = 256;

/// How a call waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// For so many milliseconds at most, in this argument; without an end if negative.
    Milliseconds(usize),
    /// As long as the `struct timespec` at this argument's address says.
    Span(usize),
    /// The same of a `struct timeval`.
    MicroSpan(usize),
    /// Until the moment there, if the flags in that argument say so; otherwise as [`Self::Span`].
    Until { flags: usize, at: usize },
    /// For a child process.
    Child,
}

/// `TIMER_ABSTIME` of `clock_nanosleep(2)`.
const ABSOLUTE: u64 = 1;

fn wait(call: i64) -> Option<Wait> {
    #[cfg(target_arch = "x86_64")]
    match call {
        libc::SYS_epoll_wait => return Some(Wait::Milliseconds(3)),
        libc::SYS_poll => return Some(Wait::Milliseconds(2)),
        libc::SYS_select => return Some(Wait::MicroSpan(4)),
        _ => {}
    }
    Some(match call {
        libc::SYS_epoll_pwait => Wait::Milliseconds(3),
        libc::SYS_epoll_pwait2 => Wait::Span(3),
        libc::SYS_ppoll => Wait::Span(2),
        libc::SYS_pselect6 => Wait::Span(4),
        libc::SYS_nanosleep => Wait::Span(0),
        libc::SYS_clock_nanosleep => Wait::Until { flags: 1, at: 2 },
        libc::SYS_wait4 | libc::SYS_waitid => Wait::Child,
        _ => return None,
    })
}

/// What they wait for; `None` if that may not be read, or nothing more may be. `folder`: where `/proc` tells about the
/// process. `left`: how many threads may still be looked at.
pub fn of(pid: u32, folder: &Path, left: &mut usize) -> Option<Waits> {
    let memory = Memory(folder);
    let mut waits = Waits::default();
    let (mut text, mut is_denied) = (Vec::new(), false);
    let threads = threads::numbered(&process::folder(pid).join("task")).ok()?;
    for thread in threads.take(THREADS.min(*left)) {
        *left -= 1;
        let read =
            file::folder(&thread).and_then(|folder| file::read(folder, "syscall", &mut text));
        if let Err(error) = read {
            is_denied |= error.kind() == io::ErrorKind::PermissionDenied;
            continue;
        }
        waits.threads += 1;
        let Some((wait, arguments)) = parse(&text) else {
            continue;
        };
        match wait {
            Wait::Child => waits.for_children += usize::from(has_children(&thread)),
            timed => waits.timed_ns.extend(memory.length_ns(timed, &arguments)),
        }
    }
    waits.timed_ns.sort_unstable();
    (!is_denied && waits.threads > 0).then_some(waits)
}

/// The call that a thread waits in, and its arguments; `None` if it runs, or waits otherwise.
fn parse(text: &[u8]) -> Option<(Wait, [u64; 6])> {
    let mut words = file::words(text);
    let call = file::number(words.next()?, 10)?;
    let mut arguments = [0; 6];
    for (argument, word) in iter::zip(&mut arguments, words.by_ref()) {
        *argument = file::number(word.strip_prefix(b"0x")?, 16)?;
    }
    Some((wait(i64::try_from(call).ok()?)?, arguments))
}

/// Whether the thread has started a process that has not ended.
fn has_children(thread: &Path) -> bool {
    let mut text = Vec::new();
    let read = file::folder(thread).and_then(|folder| file::read(folder, "children", &mut text));
    let mut children = file::words(&text).filter_map(|word| file::small(word, 10));
    read.is_ok() && children.any(|pid| threads::living(&process::folder(pid)).next().is_some())
}

/// The memory of a process, of which nothing but the length of a time-out is read.
struct Memory<'a>(&'a Path);

impl Memory<'_> {
    /// How long such a wait may take, in ns; `None` if it has no end, or its length cannot be read.
    fn length_ns(&self, wait: Wait, arguments: &[u64; 6]) -> Option<u64> {
        let length = match wait {
            Wait::Milliseconds(at) => {
                // An `int`: the register's upper half says nothing.
                #[allow(clippy::cast_possible_truncation)]
                let milliseconds = arguments[at] as i32;
                Duration::from_millis(u64::try_from(milliseconds).ok()?)
            }
            Wait::Span(at) => self.span(arguments[at], 1)?,
            Wait::MicroSpan(at) => self.span(arguments[at], 1000)?,
            Wait::Until { flags, at } if arguments[flags] & ABSOLUTE != 0 => {
                let clock = match arguments[0] {
                    0 => ClockId::Realtime,
                    1 => ClockId::Monotonic,
                    _ => return None,
                };
                let now = clock_gettime(clock);
                let now = Duration::new(now.tv_sec.try_into().ok()?, now.tv_nsec.try_into().ok()?);
                self.span(arguments[at], 1)?.saturating_sub(now)
            }
            Wait::Until { at, .. } => self.span(arguments[at], 1)?,
            Wait::Child => return None,
        };
        u64::try_from(length.as_nanos()).ok()
    }

    /// Seconds and parts of one, of so many ns each, at an address; `None` also without an address.
    fn span(&self, address: u64, part_ns: u64) -> Option<Duration> {
        let mut bytes = [0; 16];
        let memory = File::open(self.0.join("mem"))
            .ok()
            .filter(|_| address != 0)?;
        memory.read_exact_at(&mut bytes, address).ok()?;
        let word = |at: usize| i64::from_ne_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let seconds = u64::try_from(word(0)).ok()?;
        let rest_ns = u64::try_from(word(8)).ok()?.checked_mul(part_ns)?;
        Duration::from_secs(seconds).checked_add(Duration::from_nanos(rest_ns))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        process::{Child, Command, Stdio},
        thread,
        time::Instant,
    };

    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_call_and_its_arguments_are_read() {
        let call = libc::SYS_epoll_pwait;
        let line = format!("{call} 0x5 0x7ffe 0x200 0x2b8fa 0x0 0x8 0x7ffc33e0 0x7f05\n");
        let (wait, arguments) = parse(line.as_bytes()).expect("it waits");
        assert_eq!(
            Memory(Path::new("/")).length_ns(wait, &arguments),
            Some(178_426_000_000)
        );
        let endless = line.replace("0x2b8fa", "0xffffffff");
        let (wait, arguments) = parse(endless.as_bytes()).expect("it waits");
        assert_eq!(Memory(Path::new("/")).length_ns(wait, &arguments), None);
        for other in [
            "running\n",
            "-1 0x7ffc 0x7f05\n",
            "",
            "0 0x3 0x7f 0x1 0x0 0x0 0x0 0x1 0x2\n",
        ] {
            assert_eq!(parse(other.as_bytes()), None, "{other}");
        }
    }

    struct Killed(Child);

    impl Drop for Killed {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn waits_of(program: &str, arguments: &[&str], is_so: fn(&Waits) -> bool) {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        let child = Killed(command.spawn().expect("it can be started"));
        let pid = child.0.id();
        let begun = Instant::now();
        loop {
            match of(pid, &process::folder(pid), &mut { THREADS }) {
                Some(waits) if is_so(&waits) => return,
                other => assert!(begun.elapsed() < Duration::from_secs(20), "{other:?}"),
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn a_sleeper_and_one_that_waits_for_it_are_told() {
        waits_of("sleep", &["100"], |waits| {
            let [ns] = waits.timed_ns[..] else {
                return false;
            };
            waits.threads == 1 && ns > 50 * SECOND && ns <= 100 * SECOND
        });
        // Two commands, or the shell would become the first.
        waits_of("sh", &["-c", "sleep 5; :"], |waits| waits.for_children == 1);
    }

    #[test]
    fn who_is_gone_or_waits_without_an_end_says_nothing() {
        assert_eq!(
            of(u32::MAX, &process::folder(u32::MAX), &mut { THREADS }),
            None
        );
        assert_eq!(
            of(
                std::process::id(),
                &process::folder(std::process::id()),
                &mut 0
            ),
            None
        );
        waits_of("sh", &["-c", "kill -STOP $$"], |waits| {
            waits.threads == 1 && waits.timed_ns.is_empty() && waits.for_children == 0
        });
    }

    proptest! {
        #[test]
        fn noise_does_not_panic(
            call in 0i64..500,
            arguments in any::<[u64; 6]>(),
            noise in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let _ = parse(&noise);
            if let Some(wait) = wait(call) {
                let _ = Memory(Path::new("/proc/self")).length_ns(wait, &arguments);
            }
        }
    }
}
