//! The kernel side's own messages, for `-vv`.

use std::io::Write as _;

use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};
use tokio::io::{Interest, unix::AsyncFd};

/// Writes each message as a line to standard error.
struct Stderr;

impl Log for Stderr {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // There is nowhere to report that standard error is closed.
        let _ = writeln!(
            std::io::stderr(),
            "kernel: {} {}",
            record.level().as_str().to_lowercase(),
            record.args()
        );
    }

    fn flush(&self) {}
}

/// Prints the messages as they arrive, until the runtime drops the task.
///
/// # Errors
/// When the kernel side was loaded without messages or the ring cannot be watched.
pub fn print_in_background(ebpf: &mut Ebpf) -> anyhow::Result<()> {
    let logger = EbpfLogger::init_with_logger(ebpf, Stderr)?;
    // SAFETY: the logger owns the ring's descriptor, gives the same one each time, and is dropped
    // only with the registration.
    let mut ring = unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE) }?;
    tokio::spawn(async move {
        while let Ok(mut ready) = ring.readable_mut().await {
            ready.get_inner_mut().flush();
            ready.clear_ready();
        }
    });
    Ok(())
}
