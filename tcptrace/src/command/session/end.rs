//! What ends a session. A thread of its own waits for it, so that a session also ends whose output blocks it.

use std::{
    io::{self, IsTerminal as _},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::{oneshot, watch},
    time::{self, Instant},
};

use crate::{
    command::confinement::confine_thread,
    sink::{
        blocked::{self, Writes},
        messages,
    },
    source::machine::{process, time_namespace},
};

/// How long a session may take to write what is left after its end was asked for.
pub const GRACE: Duration = Duration::from_secs(2);
/// A signal that comes sooner after another one is the same, sent twice: a terminal sends it to a group of
/// processes, and one of them may pass it on.
const SAME: Duration = Duration::from_millis(50);
/// How often to look whether the output blocks the session.
const LOOK: Duration = Duration::from_millis(100);

/// Ctrl-C, SIGTERM, the terminal's end, or the time being up.
pub struct End {
    heard: watch::Receiver<Heard>,
    /// The duration, and who waits for it to begin.
    duration: Option<(Duration, oneshot::Sender<Instant>)>,
    reopened: u64,
}

/// What a session is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// To end.
    End,
    /// To open its files anew: by SIGHUP, if it has no terminal.
    Reopen,
}

/// What the thread has heard so far.
#[derive(Debug, Default, Clone, Copy)]
struct Heard {
    end: bool,
    /// How often it was asked to open its files anew.
    reopen: u64,
}

impl End {
    /// Catches signals from here on. `duration`: how long the session may last, counted from the
    /// first wait for its end.
    ///
    /// # Errors
    /// When signals cannot be caught, for which a thread must be started.
    pub fn new(duration: Option<Duration>) -> anyhow::Result<Self> {
        time_namespace::check()?;
        let (tell, heard) = watch::channel(Heard::default());
        let (begin, begun) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        // Of the thread that looks, and shows what it sees.
        let session = blocked::own();
        let listen = move || {
            confine_thread(&[]);
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let runtime = match runtime.context("starting the event loop of signals") {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(error))),
            };
            runtime.block_on(async {
                match Signals::catch() {
                    Err(error) => drop(ready.send(Err(error))),
                    Ok(signals) => {
                        let _ = ready.send(Ok(()));
                        signals.listen(begun, &tell, &session).await;
                    }
                }
            });
        };
        let thread = thread::Builder::new().name("signals".into());
        thread
            .spawn(listen)
            .context("starting a thread for signals")?;
        is_ready.recv().context("waiting for signals")??;
        Ok(Self {
            heard,
            duration: duration.map(|duration| (duration, begin)),
            reopened: 0,
        })
    }

    /// Begins to count the duration, unless that has begun.
    fn begin(&mut self) {
        if let Some((duration, begin)) = self.duration.take()
            && let Some(deadline) = Instant::now().checked_add(duration)
        {
            // It listens until the process ends.
            let _ = begin.send(deadline);
        }
    }

    /// Waits until the session is asked for something.
    pub async fn asked(&mut self) -> Asked {
        self.begin();
        let before = self.reopened;
        let any = |heard: &Heard| heard.end || heard.reopen > before;
        // The thread that tells it does not end before the process.
        match self.heard.wait_for(any).await {
            Ok(heard) if !heard.end => {
                self.reopened = heard.reopen;
                Asked::Reopen
            }
            _ => Asked::End,
        }
    }

    /// Waits for the end, in a session without files.
    pub async fn reached(&mut self) {
        while self.asked().await != Asked::End {}
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    /// Whether the session belongs to a terminal, and ends with it.
    on_terminal: bool,
}

impl Signals {
    fn catch() -> anyhow::Result<Self> {
        let on_terminal =
            io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal();
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("catching SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("catching SIGTERM")?,
            hang_up: signal(SignalKind::hangup()).context("catching SIGHUP")?,
            on_terminal: on_terminal && !process::ignores_hang_up(),
        })
    }

    /// Tells what it hears. After the end was asked for, it ends the process if that does not end by itself.
    async fn listen(
        mut self,
        begun: oneshot::Receiver<Instant>,
        tell: &watch::Sender<Heard>,
        session: &Writes,
    ) {
        let time_up = async {
            match begun.await {
                Ok(deadline) => time::sleep_until(deadline).await,
                // The session has no duration.
                Err(_) => std::future::pending().await,
            }
        };
        tokio::pin!(time_up);
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => break,
                _ = self.terminate.recv() => break,
                _ = self.hang_up.recv() => match self.on_terminal {
                    true => break,
                    false => tell.send_modify(|heard| heard.reopen += 1),
                },
                () = &mut time_up => break,
            }
        }
        let asked = Instant::now();
        tell.send_modify(|heard| heard.end = true);
        loop {
            let again = tokio::select! {
                _ = self.interrupt.recv() => true,
                _ = self.terminate.recv() => true,
                () = time::sleep(LOOK) => false,
            };
            if again && asked.elapsed() >= SAME {
                end_now("ended at once by a second signal; what was not written yet is lost");
            }
            if session.present() >= GRACE && asked.elapsed() >= GRACE {
                end_now("nobody reads the output; what was not written yet is lost");
            }
        }
    }
}

/// Ends the process without waiting for any output.
fn end_now(why: &str) -> ! {
    messages::tell_if_there_is_room(why);
    std::process::exit(1)
}
