//! The programs that are attached while the churn runs: tcptrace, and other installed programs that watch TCP states.

pub mod background;
pub mod session;
pub mod summary;

use std::{
    env,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use session::Session;
use testbed::Netns;

use super::{Plan, gauge::bpf_runs};

/// The function of tcpstates as a bpftrace script: a line for each transition, with the time since the previous one.
const BPFTRACE: &str = "tracepoint:sock:inet_sock_set_state {
    $old = @since[args->skaddr];
    printf(\"%d %s %d %d %d %d %d\\n\", pid, comm, args->sport, args->dport, args->oldstate, args->newstate,
        $old ? (nsecs - $old) / 1000 : 0);
    if (args->newstate == 7) { delete(@since[args->skaddr]); } else { @since[args->skaddr] = nsecs; }
}";

/// A program must have loaded its BPF programs within this time; bcc compiles them first.
const LOADED_WITHIN: Duration = Duration::from_secs(30);
/// The time from loading to attaching.
const ATTACHED_WITHIN: Duration = Duration::from_millis(500);

/// The message of `tcptrace log` once it sees everything.
const TRACING: &str = "tcptrace: tracing";
/// The same message of `tcptrace hist`.
pub const COUNTING: &str = "tcptrace: counting";
/// The usual way to count that costs most: nearly every transition ends a duration with an owner and a key.
pub const COSTLIEST: [&str; 4] = ["hist", "--all-states", "--by", "comm"];

/// Something to attach.
#[derive(Debug)]
pub struct Subject {
    pub name: &'static str,
    program: Option<PathBuf>,
    arguments: Vec<String>,
    /// Its option for the output file, if it should not write to standard output.
    output: Option<&'static str>,
    /// Its message on standard error when it is attached, if it has one.
    ready: Option<&'static str>,
}

impl Subject {
    /// Nothing: this measures the noise.
    pub fn nothing() -> Self {
        Self {
            name: "nothing (the noise)",
            program: None,
            arguments: Vec::new(),
            output: None,
            ready: None,
        }
    }

    /// `tcptrace stuck` with this interval.
    pub fn stuck(plan: &Plan, interval: &str) -> Self {
        Self {
            name: "`tcptrace stuck`",
            program: Some(plan.program.clone()),
            arguments: ["stuck", "--interval", interval].map(String::from).to_vec(),
            output: None,
            ready: None,
        }
    }

    /// `tcptrace log` as text into one file.
    pub fn log(plan: &Plan) -> Self {
        Self {
            name: "`tcptrace log -o FILE`",
            program: Some(plan.program.clone()),
            arguments: vec!["log".into()],
            output: Some("-o"),
            ready: Some(TRACING),
        }
    }

    /// `tcptrace log` as JSON into one file.
    pub fn log_json(plan: &Plan) -> Self {
        let name = "`tcptrace log --json -o FILE`";
        let arguments = ["log", "--json"].map(String::from).to_vec();
        Self {
            name,
            arguments,
            ..Self::log(plan)
        }
    }

    /// `tcptrace log` as text into a file for each process.
    pub fn log_dir(plan: &Plan) -> Self {
        Self {
            name: "`tcptrace log --dir DIR`",
            output: Some("--dir"),
            ..Self::log(plan)
        }
    }

    /// `tcptrace hist`: durations in CLOSE_WAIT, without owners.
    pub fn hist(plan: &Plan) -> Self {
        Self {
            name: "`tcptrace hist`",
            program: Some(plan.program.clone()),
            arguments: vec!["hist".into()],
            output: None,
            ready: Some(COUNTING),
        }
    }

    /// `tcptrace hist` by program: with owners.
    pub fn hist_by_comm(plan: &Plan) -> Self {
        Self {
            name: "`tcptrace hist --by comm`",
            arguments: ["hist", "--by", "comm"].map(String::from).to_vec(),
            ..Self::hist(plan)
        }
    }

    /// `tcptrace hist` of every state, by program.
    pub fn costliest_hist(plan: &Plan) -> Self {
        Self {
            name: "`tcptrace hist --all-states --by comm`",
            arguments: COSTLIEST.map(String::from).to_vec(),
            ..Self::hist(plan)
        }
    }

    /// The same for one network namespace, with JSON output.
    pub fn of_netns_in_json(mut self, netns: &Netns) -> Self {
        let netns = netns.inode().to_string();
        self.arguments
            .extend(["--json".into(), "--netns".into(), netns]);
        self
    }

    /// The other programs that work here, and the reasons why the rest do not.
    pub fn others() -> (Vec<Self>, Vec<String>) {
        let peers = [
            ("libbpf-tools `tcpstates`", "tcpstates", vec![]),
            ("bcc `tcpstates`", "tcpstates-bpfcc", vec![]),
            (
                "`bpftrace` script of the same function",
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
                program: Some(path),
                arguments,
                output: None,
                ready: None,
            };
            match subject.try_out() {
                Ok(()) => found.push(subject),
                Err(error) => missing.push(format!("{program} ({error:#})")),
            }
        }
        (found, missing)
    }

    fn try_out(&self) -> Result<()> {
        if let Some(session) = self.attach()? {
            session.stop()?;
        }
        Ok(())
    }

    /// Starts it and waits until it is attached.
    pub fn attach(&self) -> Result<Option<Session>> {
        let Some(program) = &self.program else {
            return Ok(None);
        };
        let mut session = Session::start(program, &self.arguments, self.output)?;
        let start = Instant::now();
        while !self.is_ready(&session)? {
            session.check()?;
            if start.elapsed() > LOADED_WITHIN {
                bail!("{} did not load a BPF program", program.display());
            }
            thread::sleep(Duration::from_millis(20));
        }
        thread::sleep(ATTACHED_WITHIN);
        Ok(Some(session))
    }

    fn is_ready(&self, session: &Session) -> Result<bool> {
        match self.ready {
            Some(text) => session.has_said(text),
            None => Ok(bpf_runs::of(session.pid())?.is_some()),
        }
    }
}

/// A program on the path, or in the folders for root's programs.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(Path::new).map(Into::into))
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}
