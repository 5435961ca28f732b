//! The init of a test guest: prepares the machine, runs the live tests, reports the result, and powers off.
//!
//! If it cannot continue, it exits. The kernel then panics, and the host sees it.

use std::{
    ffi::CString,
    fs::{self, File},
    io::Write,
    os::{
        fd::AsFd,
        unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use rustix::{
    mount::MountFlags,
    process::{Resource, Rlimit, WaitOptions, WaitStatus},
    system::RebootCommand,
};
use xtask::vm::{
    job::{JOB, Job, MODULES, Notice, PROGRAMS},
    outcome::console::TESTS_BEGIN,
};

/// Types of file systems and their mount points, in order.
const MOUNTS: [(&str, &str); 8] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tracefs", "/sys/kernel/tracing"),
    ("securityfs", "/sys/kernel/security"),
    ("cgroup2", "/sys/fs/cgroup"),
    ("tmpfs", "/tmp"),
    ("tmpfs", "/run"),
];

/// systemd's limits for services, soft and hard. Servers do not run with the kernel's default limits.
const OPEN_FILES: (u64, u64) = (1024, 524_288);

/// Makes the kernel decompress a module itself (`MODULE_INIT_COMPRESSED_FILE`, 5.17).
const COMPRESSED: i32 = 4;

fn main() -> Result<()> {
    let problems = prepare();
    let job = fs::read(JOB).with_context(|| format!("cannot read {JOB}"))?;
    let job: Job =
        serde_json::from_slice(&job).with_context(|| format!("cannot understand {JOB}"))?;
    let mut port = File::options()
        .write(true)
        // It must not become a controlling terminal, which sends signals.
        .custom_flags(libc::O_NOCTTY)
        .open(&job.port)
        .with_context(|| format!("cannot open {}", job.port))?;
    let mut tell = |notice: Notice| writeln!(port, "{}", notice.line(&job.token));

    tell(Notice::Up(
        rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned(),
    ))?;
    for problem in problems {
        tell(Notice::Problem(problem))?;
    }
    // Level 1 reaches the console.
    fs::write("/dev/kmsg", format!("<1>{TESTS_BEGIN}\n"))
        .context("cannot write to the kernel's log")?;
    let code =
        run(&job).or_else(|error| tell(Notice::Problem(format!("{error:#}"))).map(|()| 127))?;
    tell(Notice::End(code))?;
    rustix::termios::tcdrain(port.as_fd()).context("cannot send the report")?;
    rustix::system::reboot(RebootCommand::PowerOff).context("cannot power off")
}

/// Prepares the machine for the tests, as far as possible; returns what failed.
fn prepare() -> Vec<String> {
    let mounts = MOUNTS.iter().map(|(kind, at)| mount(kind, at));
    let modules = match modules() {
        Ok(modules) => modules.iter().map(|path| load(path)).collect(),
        Err(error) => vec![Err(error)],
    };
    let (soft, hard) = OPEN_FILES;
    let limit = Rlimit {
        current: Some(soft),
        maximum: Some(hard),
    };
    let others = [
        testbed::loopback_up(),
        rustix::system::sethostname(b"tcptrace-vm").context("cannot set the host's name"),
        rustix::process::setrlimit(Resource::Nofile, limit)
            .context("cannot raise the limit of open files"),
    ];
    mounts
        .chain(modules)
        .chain(others)
        .filter_map(|result| result.err().map(|error| format!("{error:#}")))
        .collect()
}

fn mount(kind: &str, at: &str) -> Result<()> {
    rustix::mount::mount(kind, at, kind, MountFlags::empty(), None)
        .with_context(|| format!("cannot mount {at}"))
}

fn modules() -> Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(MODULES)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn load(path: &Path) -> Result<()> {
    let flags = if path.as_os_str().as_bytes().ends_with(b".ko") {
        0
    } else {
        COMPRESSED
    };
    File::open(path)
        .and_then(|file| {
            Ok(rustix::system::finit_module(
                file,
                &CString::default(),
                flags,
            )?)
        })
        .with_context(|| format!("cannot load {}", path.display()))
}

/// Runs the tests to their end and returns their exit code.
fn run(job: &Job) -> Result<i32> {
    let (program, arguments) = job
        .command
        .split_first()
        .context("the job names no program")?;
    // Opened separately for each, so that settings by one program do not affect the others.
    let port = || {
        File::options()
            .write(true)
            .custom_flags(libc::O_NOCTTY)
            .open(&job.port)
    };
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PROGRAMS)
        .env("HOME", "/root")
        .envs(job.environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/tmp")
        .stdin(Stdio::null())
        .stdout(port()?)
        .stderr(port()?)
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    // A process that loses its parent becomes a child of init, and init must wait for it.
    loop {
        let ended =
            rustix::process::wait(WaitOptions::empty()).context("cannot wait for the tests")?;
        if let Some((pid, status)) = ended
            && pid.as_raw_nonzero().get().unsigned_abs() == child.id()
        {
            return Ok(code(status));
        }
    }
}

fn code(status: WaitStatus) -> i32 {
    status
        .exit_status()
        .or_else(|| status.terminating_signal().map(|signal| 128 + signal))
        .unwrap_or(1)
}
