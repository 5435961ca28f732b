//! Files that are rotated by others, and recordings whose writer is killed.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::{
    fs::{Mode, OFlags, open},
    process::Signal,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use testbed::{Family, Stage, clock::slowness};

use crate::{
    harness::{case::Cases, place::Place, scratch::Scratch},
    output::run::Run,
    run::tool::{KilledWhenDropped, Tool, binary},
};

pub fn add(cases: &mut Cases) {
    cases.add("rotated_by_others", rotated).here();
    cases
        .add("rotated_by_others_in_a_folder", rotated_folder)
        .here();
    cases.add("hang_up_of_a_terminal", terminal).here();
    cases.add("recording_of_a_killed_writer", killed).here();
    cases.add("recording_that_was_emptied", emptied).here();
}

/// How long the tool takes at most to notice something by itself.
fn notice() -> Duration {
    Duration::from_millis(1600) * slowness()
}

/// Replays a recording; returns its transitions, and what was said about it.
fn replay(file: &str) -> Result<(usize, String)> {
    let outcome = Tool::start(Place::AsIs, &["replay", file, "log", "--json"])?;
    let outcome = outcome.wait()?.success()?;
    let transitions = outcome.stdout.matches("\"tcptrace.transition/1\"").count();
    Ok((transitions, outcome.stderr))
}

/// By a signal, as logrotate sends it; and when the file is just renamed or removed.
fn rotated() -> Result<()> {
    for name in ["log.jsonl", "log.jsonl.zst"] {
        let (scratch, mut stage) = (Scratch::new()?, Stage::new()?);
        let (file, old) = (scratch.file(name), scratch.file(&format!("old.{name}")));
        let mut run = Run::log_of(stage.netns(), ["-o", &file])?;
        stage.connect(Family::Ipv4, 5)?;
        fs::rename(&file, &old)?;
        run.signal(Signal::HUP)?;
        run.until(|_| Ok(fs::exists(&file)?))?;
        stage.connect(Family::Ipv4, 5)?;
        std::thread::sleep(notice());
        let (before, _) = replay(&old)?;
        fs::remove_file(&file)?;
        run.until(|_| Ok(fs::exists(&file)?))?;
        stage.connect(Family::Ipv4, 5)?;
        run.end(Signal::TERM)?;
        let (after, said) = replay(&file)?;
        // Three of each end of a connection, without those of the listener.
        ensure!(
            before >= 20 && after >= 20,
            "{name}: {before}, {after}: {said}"
        );
        ensure!(said.is_empty() || !said.contains("damaged"), "{said}");
    }
    Ok(())
}

fn rotated_folder() -> Result<()> {
    let (scratch, mut stage) = (Scratch::new()?, Stage::new()?);
    let dir = scratch.file("logs");
    let mut run = Run::log_of(stage.netns(), ["--dir", &dir])?;
    stage.connect(Family::Ipv4, 5)?;
    let name = format!("{}-{}.jsonl", stage.client.pid(), stage.client.comm());
    let (file, old) = (format!("{dir}/{name}"), format!("{dir}/old"));
    run.until(|_| Ok(fs::exists(&file)?))?;
    fs::rename(&file, &old)?;
    run.signal(Signal::HUP)?;
    std::thread::sleep(notice());
    stage.connect(Family::Ipv4, 5)?;
    run.end(Signal::TERM)?;
    let [before, after] = [&old, &file].map(|path| replay(path).map(|(count, _)| count));
    let (before, after) = (before?, after?);
    ensure!(before >= 10 && after >= 10, "{before}, {after}");
    Ok(())
}

/// On a terminal, its end is the end of the session, in order.
fn terminal() -> Result<()> {
    let (scratch, mut stage) = (Scratch::new()?, Stage::new()?);
    let netns = stage.netns().inode().to_string();
    let file = scratch.file("log.jsonl");
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let slave = open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
    let mut command = Command::new(binary());
    command.args(["log", "--json", "--netns", &netns, "-o", &file]);
    command
        .stdin(slave.try_clone()?)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Place::AsIs.prepare(&mut command);
    let mut child = KilledWhenDropped(command.spawn()?);
    let start = std::time::Instant::now();
    let lines = || fs::read_to_string(&file).map_or(0, |text| text.lines().count());
    while lines() < 10 {
        stage.connect(Family::Ipv4, 5)?;
        ensure!(
            start.elapsed() < testbed::clock::patience(),
            "only {} lines",
            lines()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let pid = i32::try_from(child.0.id())?;
    let pid = rustix::process::Pid::from_raw(pid).context("no PID")?;
    rustix::process::kill_process(pid, Signal::HUP)?;
    while child.0.try_wait()?.is_none() {
        ensure!(
            start.elapsed() < testbed::clock::patience(),
            "it does not end"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = child.0.wait()?;
    ensure!(status.code() == Some(0), "{status}");
    Ok(())
}

/// What is older than about a second is in the recording, and nothing of it is damaged.
fn killed() -> Result<()> {
    let (scratch, mut stage) = (Scratch::new()?, Stage::new()?);
    let file = scratch.file("log.jsonl.zst");
    let mut run = Run::log_of(stage.netns(), ["-o", &file])?;
    for _ in 0..3 {
        stage.connect(Family::Ipv4, 5)?;
        std::thread::sleep(notice());
    }
    run.signal(Signal::KILL)?;
    run.ends_within(testbed::clock::patience())?;
    let (count, said) = replay(&file)?;
    ensure!(count >= 60, "{count}: {said}");
    ensure!(
        !said.contains("break") && !said.contains("damaged"),
        "{said}"
    );
    // Half a frame of another writer at its end, and another session's frames after that.
    let whole = fs::read(&file)?;
    let mut out = fs::File::options().append(true).open(&file)?;
    out.write_all(&whole[..whole.len() / 2])?;
    out.write_all(&whole)?;
    let (more, said) = replay(&file)?;
    ensure!(
        more >= 2 * count && said.contains("cannot be read"),
        "{more}: {said}"
    );
    Ok(())
}

/// As `copytruncate` does it.
fn emptied() -> Result<()> {
    for name in ["log.jsonl", "log.jsonl.zst"] {
        let (scratch, mut stage) = (Scratch::new()?, Stage::new()?);
        let file = scratch.file(name);
        let mut run = Run::log_of(stage.netns(), ["-o", &file])?;
        stage.connect(Family::Ipv4, 20)?;
        std::thread::sleep(notice());
        fs::File::options().write(true).open(&file)?.set_len(0)?;
        stage.connect(Family::Ipv4, 5)?;
        run.end(Signal::TERM)?;
        let (count, said) = replay(&file)?;
        ensure!((20..100).contains(&count), "{name}: {count}: {said}");
        ensure!(
            !said.contains("damaged") && !said.contains("cannot be read"),
            "{said}"
        );
        let bytes = fs::read(&file)?;
        ensure!(!bytes.starts_with(&[0]), "{name} begins with zeros");
    }
    Ok(())
}
