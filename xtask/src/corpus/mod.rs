//! The corpus: real programs of many runtimes that leave sockets in CLOSE_WAIT, or look as if they did, each with its
//! truth; and what tcptrace says about them.

pub mod case;
mod page;
mod stage;
mod verdict;
mod watch;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use case::Case;
use stage::Stage;
use verdict::{Leak, Rank, Said};
use watch::Session;

use crate::{interrupt, process, workspace::Workspace};

/// How long a situation may take to come.
const PATIENCE: Duration = Duration::from_secs(90);

/// How many cases that failed are run once more, alone: where others run beside it, a program may come late.
const SECOND_CHANCES: usize = 3;

/// How it is run.
#[derive(Debug)]
pub struct Options {
    /// How many cases run at a time.
    pub beside: usize,
    /// Whether docs/diagnosis.md is written.
    pub write: bool,
    /// Whether a case that cannot run is a failure.
    pub all: bool,
    /// For how many seconds each is watched, if not as it says itself.
    pub watch: Option<u64>,
    /// Whether the screens are shown, with the reasons.
    pub screens: bool,
}

/// A case, and what was said about it.
pub struct Outcome {
    /// The case.
    pub case: Case,
    /// By one look.
    pub once: Said,
    /// By a session.
    pub session: Said,
}

impl Outcome {
    /// What is not true of it, or not there. Empty: all is well.
    pub fn faults(&self) -> Vec<String> {
        let truth = &self.case.truth;
        let mut faults = Vec::new();
        for (how, said) in [("one look", &self.once), ("the session", &self.session)] {
            match said.leak(truth) {
                Leak::False => faults.push(format!("{how}: a false leak")),
                Leak::AllClear => faults.push(format!("{how}: a false all-clear")),
                Leak::Right | Leak::Open => {}
            }
            if said.residue < truth.residue {
                faults.push(format!(
                    "{how}: {} of {} residue",
                    said.residue, truth.residue
                ));
            }
        }
        let is_named = self.session.rank(truth) != Rank::Absent;
        if !is_named && truth.hidden.is_none() {
            faults.push(format!("the session does not name {}", truth.cause));
        }
        if truth.follows_from.is_some() && self.session.follows_from != truth.follows_from {
            faults.push(format!(
                "the session says it follows from {:?}",
                self.session.follows_from
            ));
        }
        faults
    }
}

/// Runs the cases, some side by side, and shows each as it ends.
///
/// # Errors
/// A machine on which none can run, or an interruption.
pub fn run(
    workspace: &Workspace,
    program: &Path,
    cases: Vec<Case>,
    options: &Options,
) -> Result<ExitCode> {
    interrupt::watch();
    let (cases, missing): (Vec<_>, Vec<_>) = cases
        .into_iter()
        .partition(|case| case.missing().is_empty());
    tell_missing(&missing);
    let scratch = tempfile::Builder::new()
        .prefix("tcptrace-corpus-")
        .tempdir()?;
    let built = build(workspace, &cases)?;
    let place = Place {
        workspace,
        program,
        built: &built,
        scratch: scratch.path(),
    };
    let begun = Instant::now();
    let mut done = place.side_by_side(&cases, options);
    interrupt::check()?;
    let failed = done.iter_mut().filter(|(_, outcome)| !is_right(outcome));
    for (case, outcome) in failed.take(SECOND_CHANCES) {
        println!("again, alone:");
        *outcome = place.one(case, options);
        show(case, outcome, "again");
    }
    interrupt::check()?;
    done.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    let failed = done
        .iter()
        .filter(|(_, outcome)| !is_right(outcome))
        .count();
    let ran: Vec<_> = done
        .into_iter()
        .filter_map(|(_, outcome)| outcome.ok())
        .collect();
    println!("\n{}", page::figures(&ran));
    println!(
        "{failed} of {} failed, {} could not run, {} s",
        cases.len(),
        missing.len(),
        begun.elapsed().as_secs()
    );
    if options.write {
        page::write(&workspace.root().join("docs/diagnosis.md"), &ran)?;
    }
    let bad = failed > 0 || (options.all && !missing.is_empty());
    Ok(if bad {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn tell_missing(missing: &[Case]) {
    let mut by_runtime: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in missing {
        by_runtime.entry(&case.runtime).or_default().push(case);
    }
    for (runtime, cases) in by_runtime {
        let mut needs: Vec<_> = cases.iter().flat_map(|case| case.missing()).collect();
        let mut packages: Vec<_> = cases
            .iter()
            .flat_map(|case| &case.packages)
            .map(|name| &**name)
            .collect();
        for list in [&mut needs, &mut packages] {
            list.sort_unstable();
            list.dedup();
        }
        let names: Vec<_> = cases.iter().map(|case| &*case.name).collect();
        eprintln!(
            "cannot run {}: {runtime} lacks {}\n  try: apt-get install --no-install-recommends {}",
            names.join(", "),
            needs.join(", "),
            packages.join(" ")
        );
    }
}

/// Builds the programs of each runtime, once. Returns where they are.
fn build(workspace: &Workspace, cases: &[Case]) -> Result<BTreeMap<PathBuf, PathBuf>> {
    let mut built = BTreeMap::new();
    for case in cases {
        if built.contains_key(&case.folder) {
            continue;
        }
        let of = case.folder.file_name().context("no name")?;
        let out = workspace.root().join("target/corpus").join(of);
        fs::create_dir_all(&out)?;
        for command in &case.build {
            let mut shell = Command::new("sh");
            shell
                .args(["-ec", command])
                .current_dir(&case.folder)
                .env("OUT", &out);
            process::run(
                &mut shell,
                &format!("build the programs of {}", case.runtime),
            )?;
        }
        built.insert(case.folder.clone(), out);
    }
    Ok(built)
}

/// Where cases run.
struct Place<'a> {
    workspace: &'a Workspace,
    program: &'a Path,
    built: &'a BTreeMap<PathBuf, PathBuf>,
    scratch: &'a Path,
}

impl Place<'_> {
    fn side_by_side<'a>(
        &self,
        cases: &'a [Case],
        options: &Options,
    ) -> Vec<(&'a Case, Result<Outcome>)> {
        let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..options.beside.clamp(1, cases.len().max(1)) {
                scope.spawn(|| {
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if interrupt::asked() {
                            break;
                        }
                        let outcome = self.one(case, options);
                        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                        show(
                            case,
                            &outcome,
                            &format!("{}/{}", done.len() + 1, cases.len()),
                        );
                        done.push((case, outcome));
                    }
                });
            }
        });
        done.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn one(&self, case: &Case, options: &Options) -> Result<Outcome> {
        let scratch = self.scratch.join(case.name.replace('/', "-"));
        let out = self.built.get(&case.folder).context("not built")?.clone();
        let peers = case::folder(self.workspace.root()).join("peers");
        let mut stage = Stage::new(case, scratch.clone(), peers, out)?;
        let netns = stage.netns()?;
        let session = Session::start(self.program, netns, &scratch)?;
        stage.play(PATIENCE)?;
        let watch_s = options.watch.unwrap_or(case.watch_s);
        interrupt::sleep(Duration::from_secs(watch_s))?;
        let once = watch::once(self.program, netns)?;
        if options.screens {
            println!("{}", watch::screen(self.program, netns, &["--explain"])?);
        }
        let last = session.end()?;
        Ok(Outcome {
            case: case.clone(),
            once: Said::of(&once, &case.truth),
            session: Said::of(&last, &case.truth),
        })
    }
}

fn is_right(outcome: &Result<Outcome>) -> bool {
    outcome.as_ref().is_ok_and(|ran| ran.faults().is_empty())
}

fn show(case: &Case, outcome: &Result<Outcome>, at: &str) {
    let truth = &case.truth;
    let leak = if truth.leak { "yes" } else { "no" };
    println!("[{at}] {}: in truth {leak}: {}", case.name, truth.cause);
    match outcome {
        Err(error) => println!("  FAILED: {error:#}"),
        Ok(ran) => {
            println!("  one look     {}", ran.once.words());
            println!("  the session  {}", ran.session.words());
            for fault in ran.faults() {
                println!("  FAILED: {fault}");
            }
        }
    }
}
