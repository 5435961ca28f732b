//! The cases: what is started, and what is true of it. `testbed/corpus/RUNTIME/cases.toml` has those of a runtime.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::root::is_on_path;

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    runtime: String,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    packages: Vec<String>,
    #[serde(default)]
    build: Vec<String>,
    case: BTreeMap<String, Case>,
}

/// A program and its truth.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// `RUNTIME/NAME`.
    #[serde(skip)]
    pub name: String,
    /// The runtime, for people.
    #[serde(skip)]
    pub runtime: String,
    /// The folder with its sources.
    #[serde(skip)]
    pub folder: PathBuf,
    /// What builds its runtime's programs, for `sh`, in that folder, with `$OUT` for what comes out.
    #[serde(skip)]
    pub build: Vec<String>,
    /// One line: what the program does.
    pub title: String,
    /// Commands and absolute paths without which it cannot run.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The packages of Debian that have them.
    #[serde(default)]
    pub packages: Vec<String>,
    /// The processes, in the order in which they are started.
    pub start: Vec<Step>,
    /// Shell commands inside of the stage, once the processes run.
    #[serde(default)]
    pub then: Vec<Then>,
    /// A shell command outside of it, after the end.
    pub tidy: Option<String>,
    /// For how many seconds it is watched once the situation stands.
    #[serde(default = "usual_watch")]
    pub watch_s: u64,
    /// Whether it was written after the rules, which then had to stand it as they were.
    #[serde(default)]
    pub late: bool,
    /// What is true.
    pub truth: Truth,
}

/// Longer than `tcp_fin_timeout`, before which nothing is called a leak.
const fn usual_watch() -> u64 {
    66
}

/// A process of a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name: `NAME.pid` and `NAME.out` are in the case's own folder, in which it runs.
    pub name: String,
    /// The command, for `sh`.
    pub run: String,
    /// The port on which it listens: the next step waits for that.
    pub port: Option<u16>,
}

/// What happens later.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Then {
    /// When, in seconds after the last process was started.
    pub after_s: f64,
    /// The command, for `sh`.
    pub run: String,
}

/// What a developer of the program would say.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// The name of the process whose sockets they are.
    pub process: String,
    /// `client` or `server`.
    pub role: String,
    /// The port at the server's end.
    pub port: u16,
    /// The cause, in the words of the JSON.
    pub cause: String,
    /// Whether they stay until somebody mends the program.
    pub leak: bool,
    /// From how many in CLOSE_WAIT on the situation stands. 0: from the last of `then` on.
    pub sockets: usize,
    /// At least so many sockets are residue.
    #[serde(default)]
    pub residue: usize,
    /// Why, in one sentence.
    pub why: String,
    /// Why nothing outside of the process can tell the cause, where that is so.
    pub hidden: Option<String>,
    /// The group of which this one is the consequence: `client PORT` or `server PORT`.
    pub follows_from: Option<String>,
}

/// The folder of the corpus.
pub fn folder(root: &Path) -> PathBuf {
    root.join("testbed/corpus")
}

/// All cases, by name.
///
/// # Errors
/// A file that is not as it should be, named.
pub fn all(root: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let folder = folder(root);
    for entry in
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let folder = entry?.path();
        let file = folder.join("cases.toml");
        if file.is_file() {
            read(&folder, &file, &mut cases)
                .with_context(|| format!("cannot read {}", file.display()))?;
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

fn read(folder: &Path, path: &Path, cases: &mut Vec<Case>) -> Result<()> {
    let file: File = toml::from_str(&fs::read_to_string(path)?)?;
    let of = folder.file_name().context("no name")?.to_string_lossy();
    for (name, mut case) in file.case {
        if !matches!(&*case.truth.role, "client" | "server") {
            bail!("{name}: no role is called {:?}", case.truth.role);
        }
        case.name = format!("{of}/{name}");
        case.runtime.clone_from(&file.runtime);
        case.folder = folder.into();
        case.build.clone_from(&file.build);
        case.needs.extend_from_slice(&file.needs);
        case.packages.extend_from_slice(&file.packages);
        cases.push(case);
    }
    Ok(())
}

/// The cases that are asked for: all, or those that are called like one of the words or, if none is, have it in their
/// names.
///
/// # Errors
/// A word that no name has.
pub fn chosen(cases: &[Case], words: &[String]) -> Result<Vec<Case>> {
    let is_name = |word: &str| cases.iter().any(|case| case.name == word);
    let has = |case: &Case, word: &String| match is_name(word) {
        true => case.name == *word,
        false => case.name.contains(word.as_str()),
    };
    for word in words {
        if !cases.iter().any(|case| has(case, word)) {
            let names: Vec<_> = cases.iter().map(|case| &*case.name).collect();
            bail!(
                "no case is called {word:?}; there are: {}",
                names.join(", ")
            );
        }
    }
    let wanted = |case: &&Case| words.is_empty() || words.iter().any(|word| has(case, word));
    Ok(cases.iter().filter(wanted).cloned().collect())
}

impl Case {
    /// What it needs that this machine has not got.
    pub fn missing(&self) -> Vec<&str> {
        let path = programs();
        let there = |need: &&String| match need.starts_with('/') {
            true => !Path::new(need).exists(),
            false => !is_on_path(need, Some(path.as_ref())),
        };
        self.needs
            .iter()
            .filter(there)
            .map(|need| &**need)
            .collect()
    }
}

/// The path of programs; daemons are where only root's leads.
pub fn programs() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
}
