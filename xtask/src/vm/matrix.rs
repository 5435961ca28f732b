//! The matrix: every test that depends on the kernel, on every kernel.

use std::{
    cmp::Reverse,
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};

use super::{
    arch::Arch,
    guest::{Ended, Guest},
    image,
    job::Job,
    kernels::{Kernel, Suites},
    outcome::{report::Report, verdict::Verdict},
    programs::{self, Programs},
    progress::Progress,
    store::{self, Boot},
};
use crate::workspace::Workspace;

/// How much slower emulated CPUs are. Tests multiply their limits by this.
const SLOWNESS: &str = "15";

/// What to run.
#[derive(Debug)]
pub struct Matrix<'a> {
    /// The kernels.
    pub kernels: Vec<&'static Kernel>,
    /// The architecture of all guests.
    pub arch: Arch,
    /// How many guests run at a time.
    pub jobs: usize,
    /// How long one guest may take.
    pub limit: Duration,
    /// Whether to look for newer packages than those in the cache.
    pub refresh: bool,
    /// A static program to run instead of the live tests.
    pub tests: Option<&'a Path>,
    /// Whether to also run tests that do not depend on the kernel.
    pub all_tests: bool,
    /// Arguments for the test program.
    pub arguments: &'a [String],
}

impl Matrix<'_> {
    /// Runs all guests and shows their progress. The verdicts are in the order of the kernels.
    pub fn run(&self, workspace: &Workspace) -> Result<Vec<Verdict>> {
        let progress = Progress::new(self.kernels.iter().map(|kernel| kernel.series));
        progress.told(|| self.verdicts(workspace, &progress))
    }

    fn verdicts(&self, workspace: &Workspace, progress: &Progress) -> Result<Vec<Verdict>> {
        let dir = programs::dir(workspace);
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        // Packages are fetched while programs are built.
        let (programs, boots) = thread::scope(|scope| {
            let boots = scope.spawn(|| self.boots());
            let programs = programs::build(workspace, self.arch, self.tests);
            (programs, boots.join().unwrap_or_default())
        });
        let programs = programs?;
        // The newest first: they take longest, and should not run alone at the end.
        let queue: VecDeque<_> = self.kernels.iter().zip(boots).enumerate().rev().collect();
        let queue = Mutex::new(queue);
        let verdicts = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..self.jobs {
                scope.spawn(|| {
                    loop {
                        // In a separate statement. Otherwise this thread holds the lock while the guest runs.
                        let next = lock(&queue).pop_front();
                        let Some((index, (kernel, boot))) = next else {
                            break;
                        };
                        let watch = |report: &Report| progress.reported(index, report);
                        let ended =
                            boot.and_then(|boot| self.guest(kernel, boot, &programs, &dir, watch));
                        let verdict = Verdict::of(kernel.series, ended);
                        eprintln!("{}: {}", kernel.series, verdict.summary());
                        progress.set(index, verdict.word().into());
                        lock(&verdicts).push((index, verdict));
                    }
                });
            }
        });
        let mut verdicts = verdicts
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        verdicts.sort_by_key(|(index, _)| *index);
        Ok(verdicts.into_iter().map(|(_, verdict)| verdict).collect())
    }

    /// The file that keeps the console of a kernel.
    pub fn console(&self, workspace: &Workspace, series: &str) -> PathBuf {
        programs::dir(workspace).join(self.file(series, "log"))
    }

    fn file(&self, series: &str, extension: &str) -> String {
        format!("{series}-{}.{extension}", self.arch.debian())
    }

    fn boots(&self) -> Vec<Result<Boot>> {
        let mut suites = Suites::default();
        self.kernels
            .iter()
            .map(|kernel| store::prepare(kernel, self.arch, &mut suites, self.refresh))
            .collect()
    }

    fn guest(
        &self,
        kernel: &Kernel,
        boot: Boot,
        programs: &Programs,
        dir: &Path,
        watch: impl Fn(&Report) + Send,
    ) -> Result<Ended> {
        let token = token()?;
        let file = |extension| dir.join(self.file(kernel.series, extension));
        let mut command = vec![image::program("live"), "--color=never".into()];
        command.extend_from_slice(self.arguments);
        let mut environment = vec![
            ("TCPTRACE_BIN".into(), image::program("tcptrace")),
            ("TCPTRACE_TEST_SLOWNESS".into(), SLOWNESS.into()),
        ];
        if !self.all_tests {
            environment.push(("TCPTRACE_TEST_KERNEL_ONLY".into(), "1".into()));
        }
        let job = Job {
            token: token.clone(),
            port: self.arch.report_port().into(),
            command,
            environment,
        };
        let initramfs = file("initramfs");
        image::write(&initramfs, &boot, programs, &job)?;
        let guest = Guest {
            arch: self.arch,
            boot,
            initramfs,
            console: file("log"),
            token,
            limit: self.limit,
        };
        let ended = guest.run(watch);
        // Tens of megabytes that are no longer needed.
        let _ = fs::remove_file(&guest.initramfs);
        let ended = ended?;
        fs::write(file("tests"), &ended.report.output)
            .and_then(|()| fs::write(file("seconds"), seconds(&ended.report)))
            .context("cannot keep what the tests printed")?;
        Ok(ended)
    }
}

/// How long each test took, the longest first.
fn seconds(report: &Report) -> String {
    let mut all: Vec<_> = report.took.iter().collect();
    all.sort_by_key(|(_, took)| Reverse(**took));
    all.iter()
        .map(|(name, took)| format!("{:7.1} {name}\n", took.as_secs_f64()))
        .collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // The content is valid even if a thread panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn token() -> Result<String> {
    let uuid =
        fs::read_to_string("/proc/sys/kernel/random/uuid").context("cannot get a random number")?;
    let uuid = uuid
        .split('-')
        .next()
        .ok_or_else(|| anyhow!("an empty random number"))?;
    Ok(format!("vm-{uuid}"))
}
