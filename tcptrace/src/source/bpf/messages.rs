//! The kernel side's own messages, for `-vv`.

use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};
use tokio::io::{Interest, unix::AsyncFd};

/// What takes each message, without a line end.
pub type Say = fn(&str);

/// Gives each message to what takes it.
struct Messages(Say);

impl Log for Messages {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let level = record.level().as_str().to_lowercase();
        self.0(&format!("kernel: {level} {}", record.args()));
    }

    fn flush(&self) {}
}

/// Gives the messages to `say` as they arrive, until the runtime drops the task.
///
/// # Errors
/// When the kernel side was loaded without messages or the ring cannot be watched.
pub fn print_in_background(ebpf: &mut Ebpf, say: Say) -> anyhow::Result<()> {
    let logger = EbpfLogger::init_with_logger(ebpf, Messages(say))?;
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
