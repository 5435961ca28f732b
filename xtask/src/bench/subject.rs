//! What is attached while the churn runs: tcptrace, and what else is installed that watches TCP states.

use super::{Plan, background::Background, programs};
use anyhow::{Result, bail};
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// What tcpstates does, for bpftrace: a line for each transition, with the time since the one before.
const BPFTRACE: &str = "tracepoint:sock:inet_sock_set_state {
    $old = @since[args->skaddr];
    printf(\"%d %s %d %d %d %d %d\\n\", pid, comm, args->sport, args->dport, args->oldstate, args->newstate,
        $old ? (nsecs - $old) / 1000 : 0);
    if (args->newstate == 7) { delete(@since[args->skaddr]); } else { @since[args->skaddr] = nsecs; }
}";

/// A program must have loaded its BPF programs by then; bcc compiles them first.
const LOADED_WITHIN: Duration = Duration::from_secs(30);
/// From loaded to attached.
const ATTACHED_WITHIN: Duration = Duration::from_millis(500);

/// Something to attach.
#[derive(Debug)]
pub struct Subject {
    pub name: &'static str,
    command: Option<(PathBuf, Vec<String>)>,
}

impl Subject {
    /// Nothing: what the noise is.
    pub fn nothing() -> Self {
        Self {
            name: "nothing (the noise)",
            command: None,
        }
    }

    /// tcptrace, looking at such intervals.
    pub fn tcptrace(plan: &Plan, interval: &str) -> Self {
        let arguments = ["stuck", "--interval", interval].map(String::from).to_vec();
        Self {
            name: "`tcptrace stuck`",
            command: Some((plan.program.clone(), arguments)),
        }
    }

    /// The others that work here, and what to say of those that do not.
    pub fn others() -> (Vec<Self>, Vec<String>) {
        let peers = [
            ("libbpf-tools `tcpstates`", "tcpstates", vec![]),
            ("bcc `tcpstates`", "tcpstates-bpfcc", vec![]),
            (
                "`bpftrace`, the same as a script",
                "bpftrace",
                vec!["-e".to_owned(), BPFTRACE.to_owned()],
            ),
        ];
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for (name, program, arguments) in peers {
            let Some(path) = find(program) else {
                missing.push(format!("{program} (not installed)"));
                continue;
            };
            let subject = Self {
                name,
                command: Some((path, arguments)),
            };
            match subject
                .attach()
                .and_then(|tried| tried.map_or(Ok(()), Background::stop))
            {
                Ok(()) => found.push(subject),
                Err(error) => missing.push(format!("{program} ({error:#})")),
            }
        }
        (found, missing)
    }

    /// Starts it and waits until it is attached.
    pub fn attach(&self) -> Result<Option<Background>> {
        let Some((program, arguments)) = &self.command else {
            return Ok(None);
        };
        let mut command = Command::new(program);
        command.args(arguments);
        let mut background = Background::start(command)?;
        let start = Instant::now();
        while programs::of(background.pid())?.is_none() {
            background.check()?;
            if start.elapsed() > LOADED_WITHIN {
                bail!("{} loads no BPF program", program.display());
            }
            thread::sleep(Duration::from_millis(20));
        }
        thread::sleep(ATTACHED_WITHIN);
        Ok(Some(background))
    }
}

/// A program on the path, or where programs for root are.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(Path::new).map(Into::into))
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}
