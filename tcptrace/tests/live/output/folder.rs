//! A folder of logs: whose it is, and how many files it gets.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    process::Stdio,
};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use testbed::{Actor, Order, Stage};

use crate::{
    harness::{case::Cases, scratch::Scratch},
    output::run::Run,
};

pub fn add(cases: &mut Cases) {
    cases.add("folder_of_somebody_else", somebody_elses).here();
    cases
        .add("folder_of_another_session", another_session)
        .here();
    cases.add("folder_whatever_the_umask", umask).here();
    cases
        .add("folder_of_short_processes", short_processes)
        .here();
}

fn refused(arguments: &[&str], words: &[&str]) -> Result<()> {
    let mut run = Run::start(arguments, Stdio::null())?;
    let status = run.ends_within(testbed::clock::patience())?;
    let said = run.said()?;
    let told = words.iter().all(|word| said.contains(word));
    ensure!(
        status.code() == Some(1) && told,
        "not {words:?}: {status}: {said}"
    );
    Ok(())
}

/// Somebody without privileges plants links at the names that the tool will use.
fn somebody_elses() -> Result<()> {
    let scratch = Scratch::new()?;
    let precious = scratch.file("precious");
    fs::write(&precious, "precious")?;
    let dir = scratch.file("theirs");
    fs::create_dir(&dir)?;
    for name in [
        "index.jsonl",
        "index.jsonl.new",
        "tcptrace.lock",
        "unknown.jsonl",
    ] {
        symlink(&precious, format!("{dir}/{name}"))?;
    }
    chown(&dir, Some(65534), Some(65534))?;
    let log = |dir: &str| {
        refused(
            &["log", "--json", "--dir", dir],
            &["belongs to user 65534", "try: "],
        )
    };
    log(&dir)?;
    // It would be theirs again, had it been ours for a moment.
    chown(&dir, Some(0), Some(0))?;
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o1777))?;
    refused(&["log", "--dir", &dir], &["others can write", "try: "])?;
    // A folder inside is our own.
    let link = scratch.file("link");
    symlink(&dir, &link)?;
    refused(
        &["log", "--dir", &format!("{link}/new")],
        &["symbolic link"],
    )?;
    let own = format!("{dir}/tcptrace");
    Run::log(&["log", "--dir", &own], Stdio::null())?.end(Signal::TERM)?;
    // One file may be anywhere, but not through a link.
    let file = format!("{dir}/unknown.jsonl");
    refused(
        &["log", "--json", "-o", &file],
        &["symbolic link", "unknown.jsonl"],
    )?;
    let file = format!("{dir}/mine.jsonl");
    Run::log(&["log", "--json", "-o", &file], Stdio::null())?.end(Signal::TERM)?;
    chown(&file, Some(65534), None)?;
    refused(&["log", "--json", "-o", &file], &["belongs to user 65534"])?;
    ensure!(fs::read(&precious)? == b"precious", "it was written to");
    Ok(())
}

fn another_session() -> Result<()> {
    let scratch = Scratch::new()?;
    let (dir, file) = (scratch.file("logs"), scratch.file("log.jsonl"));
    for words in [["log", "--dir", &dir], ["log", "-o", &file]] {
        let mut first = Run::log(&words, Stdio::null())?;
        refused(&words, &["another session"])?;
        first.end(Signal::TERM)?;
        Run::log(&words, Stdio::null())?.end(Signal::TERM)?;
    }
    Ok(())
}

/// Nobody else may read which hosts processes talk to.
fn umask() -> Result<()> {
    let (scratch, mut stage) = (Scratch::new()?, Stage::new()?);
    let netns = stage.netns().inode().to_string();
    let (dir, file) = (scratch.file("deep/logs"), scratch.file("log.jsonl"));
    for mask in ["0", "0777"] {
        for words in [
            ["log", "--netns", &netns, "--dir", &dir],
            ["log", "--netns", &netns, "-o", &file],
        ] {
            let mut run = Run::log_with_umask(mask, &words)?;
            stage.connect(testbed::Family::Ipv4, 3)?;
            run.end(Signal::TERM)?;
        }
        let mode =
            |path: &str| -> Result<u32> { Ok(fs::metadata(path)?.permissions().mode() & 0o7777) };
        ensure!(
            mode(&dir)? == 0o700 && mode(&scratch.file("deep"))? == 0o700,
            "{dir}"
        );
        ensure!(mode(&file)? == 0o600, "{file}: {:o}", mode(&file)?);
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path().display().to_string();
            ensure!(mode(&path)? == 0o600, "{path}: {:o}", mode(&path)?);
        }
        fs::remove_dir_all(scratch.file("deep"))?;
        fs::remove_file(&file)?;
    }
    Ok(())
}

/// How many processes come and go.
const PROCESSES: usize = 150;

/// Every line is in a file, and there are few files.
fn short_processes() -> Result<()> {
    let (scratch, mut stage) = (Scratch::new()?, Stage::new()?);
    let dir = scratch.file("logs");
    let mut run = Run::log_of(stage.netns(), ["--dir", &dir])?;
    let address = stage.listener(testbed::Family::Ipv4).local;
    for number in 0..PROCESSES {
        let mut client = Actor::start(stage.netns(), &format!("visit{number}"))?;
        client.socket(&Order::Connect { address, count: 1 })?;
        stage.accept(testbed::Family::Ipv4, 1)?;
        client.kill();
    }
    let said = run.end(Signal::TERM)?;
    let mut lines = 0;
    let mut files = Vec::new();
    for entry in fs::read_dir(&dir)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.ends_with(".jsonl") && name != "index.jsonl" {
            let text = fs::read_to_string(&path)?;
            lines += text
                .lines()
                .filter(|line| line.contains("tcptrace.transition/"))
                .count();
            files.push(name);
        }
    }
    ensure!(files.len() < 20, "{} files: {files:?}", files.len());
    // At least from CLOSE to SYN_SENT to ESTABLISHED, and the end of each, at both ends.
    ensure!(lines > PROCESSES * 5, "{lines} lines: {said}");
    let others = fs::read_to_string(format!("{dir}/others.jsonl"))?;
    for number in 0..PROCESSES {
        let name = format!("\"visit{number}\"");
        ensure!(others.contains(&name), "nothing of {name} is in it");
    }
    Ok(())
}
