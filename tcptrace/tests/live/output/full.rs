//! Disks without room: what is missing is said, and the session ends with its summary.

use std::{fs::File, process::Stdio};

use anyhow::{Context, Result, ensure};
use rustix::{
    mount::{MountFlags, UnmountFlags, mount, unmount},
    process::Signal,
};
use testbed::{Family, Stage};

use crate::{
    harness::{case::Cases, place::private_mounts, scratch::Scratch},
    output::run::Run,
};

pub fn add(cases: &mut Cases) {
    cases.add("full_disk_of_a_folder", folder).here();
    cases.add("full_disk_of_a_file", file).here();
    cases.add("full_disk_of_messages", messages).here();
    cases.add("full_disk_of_looks", looks).here();
}

/// The number at the beginning of what follows this label.
fn figure(said: &str, label: &str) -> Result<u64> {
    let mut figures = said.lines().filter_map(|line| {
        let (number, what) = line.trim().split_once(' ')?;
        what.starts_with(label).then_some(number)
    });
    let figure = figures.next();
    Ok(figure
        .with_context(|| format!("no {label}: {said}"))?
        .parse()?)
}

/// Runs in mounts of its own, with a small disk.
fn on_a_small_disk(scratch: &Scratch, job: impl FnOnce(&str) -> Result<()> + Send) -> Result<()> {
    let disk = scratch.file("disk");
    std::fs::create_dir(&disk)?;
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            private_mounts()?;
            mount(
                c"tmpfs",
                &*disk,
                c"tmpfs",
                MountFlags::empty(),
                Some(c"size=64k"),
            )?;
            let result = job(&disk);
            unmount(&*disk, UnmountFlags::DETACH)?;
            result
        });
        thread
            .join()
            .unwrap_or_else(|_| anyhow::bail!("it panicked"))
    })
}

/// What is in the files, and what is said to be missing, are all lines.
fn folder() -> Result<()> {
    let scratch = Scratch::new()?;
    on_a_small_disk(&scratch, |disk| {
        let mut stage = Stage::new()?;
        let dir = format!("{disk}/logs");
        let mut run = Run::log_of(stage.netns(), ["--dir", &dir])?;
        stage.connect(Family::Ipv4, 100)?;
        std::thread::sleep(std::time::Duration::from_millis(1500));
        stage.connect(Family::Ipv4, 100)?;
        std::thread::sleep(std::time::Duration::from_millis(500));
        run.signal(Signal::TERM)?;
        let status = run.ends_within(testbed::clock::patience())?;
        let said = run.said()?;
        ensure!(
            status.code() == Some(1) && said.contains("No space left"),
            "{status}: {said}"
        );
        let made = figure(&said, "transitions")?;
        let missing = said.lines().find_map(|line| {
            let (number, _) = line
                .strip_prefix("tcptrace: ")?
                .split_once(" lines could not")?;
            number.parse::<u64>().ok()
        });
        let mut written = 0;
        for entry in std::fs::read_dir(&dir)? {
            let path = entry?.path();
            let text = std::fs::read_to_string(&path)?;
            ensure!(
                text.is_empty() || text.ends_with('\n'),
                "{}",
                path.display()
            );
            written += text.matches("\"tcptrace.transition/1\"").count() as u64;
        }
        ensure!(
            Some(made - written) == missing,
            "{made} were made, {written} written: {said}"
        );
        Ok(())
    })
}

/// The disk is full for one file.
fn file() -> Result<()> {
    let scratch = Scratch::new()?;
    on_a_small_disk(&scratch, |disk| {
        let mut stage = Stage::new()?;
        let file = format!("{disk}/log.jsonl");
        let mut run = Run::log_of(stage.netns(), ["-o", &file])?;
        stage.connect(Family::Ipv4, 100)?;
        let status = run.ends_within(testbed::clock::patience())?;
        let said = run.said()?;
        let told = [
            "No space left",
            "log.jsonl",
            "Log of ",
            "transitions",
            "not written",
        ];
        let told = told.iter().all(|word| said.contains(word));
        ensure!(status.code() == Some(1) && told, "{status}: {said}");
        let text = std::fs::read_to_string(&file)?;
        ensure!(text.ends_with('\n'), "not whole lines");
        Ok(())
    })
}

/// What cannot be said must not harm the log.
fn messages() -> Result<()> {
    let (scratch, mut stage) = (Scratch::new()?, Stage::new()?);
    let netns = stage.netns().inode().to_string();
    let file = scratch.file("log.jsonl");
    let words = ["log", "--json", "--netns", &netns, "-o", &file];
    let mut run = Run::start_with(&words, Stdio::null(), File::create("/dev/full")?)?;
    let start = std::time::Instant::now();
    let lines = || std::fs::read_to_string(&file).map_or(0, |text| text.lines().count());
    // It does not say when it is ready.
    while lines() < 50 {
        stage.connect(Family::Ipv4, 10)?;
        ensure!(
            start.elapsed() < testbed::clock::patience(),
            "only {} lines",
            lines()
        );
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    run.signal(Signal::TERM)?;
    let status = run.ends_within(testbed::clock::patience())?;
    ensure!(status.code() == Some(0), "{status}");
    let text = std::fs::read_to_string(&file)?;
    ensure!(
        text.contains("tcptrace.open/1") || text.lines().count() >= 50,
        "{text}"
    );
    Ok(())
}

/// The summary of looks that nobody gets.
fn looks() -> Result<()> {
    let mut stage = Stage::new()?;
    stage.server_leak(Family::Ipv4, 3)?;
    let netns = stage.netns().inode().to_string();
    let words = [
        "stuck",
        "--json",
        "--interval",
        "50ms",
        "--older-than",
        "0s",
        "--netns",
        &netns,
    ];
    let mut run = Run::start(&words, File::create("/dev/full")?)?;
    let status = run.ends_within(testbed::clock::patience())?;
    let said = run.said()?;
    let told = said.contains("No space left") && said.contains("stuck at once");
    ensure!(status.code() == Some(1) && told, "{status}: {said}");
    Ok(())
}
