//! Outputs that nobody reads: a session ends all the same.

use std::{
    io::{PipeReader, Read as _, pipe},
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use rustix::{
    fs::{Mode, OFlags, mkfifoat, open},
    process::Signal,
};
use testbed::{Family, Stage};

use crate::{
    harness::{case::Cases, scratch::Scratch},
    output::run::{Run, grace},
    run::log::READY,
    truth::churn::Churn,
};

pub fn add(cases: &mut Cases) {
    for (name, ask) in [
        ("term", Ask::Term),
        ("int", Ask::Int),
        ("duration", Ask::Duration),
    ] {
        cases
            .add(&format!("blocked_pipe_ends_by_{name}"), move || {
                pipe_ends(ask)
            })
            .here();
    }
    cases.add("blocked_pipe_ends_at_once", at_once).here();
    cases.add("blocked_fifo", fifo).here();
    cases.add("blocked_fifo_without_a_reader", no_reader).here();
    cases.add("blocked_looks_and_reports", looks).here();
    cases.add("blocked_messages", messages).here();
    cases
        .add("blocked_log_counts_what_it_lost", counts)
        .alone()
        .here();
}

#[derive(Clone, Copy)]
enum Ask {
    Term,
    Int,
    Duration,
}

/// Some hundred transitions are more than a pipe takes.
fn fill(stage: &mut Stage) -> Result<()> {
    stage.connect(Family::Ipv4, 200).map(drop)
}

fn blocked(stage: &mut Stage, more: &[&str]) -> Result<(Run, PipeReader)> {
    let netns = stage.netns().inode().to_string();
    let (reader, writer) = pipe()?;
    let words = ["log", "--json", "--netns", &netns];
    let run = Run::log(&[&words[..], more].concat(), writer)?;
    fill(stage)?;
    Ok((run, reader))
}

fn failed(run: &Run, status: ExitStatus) -> Result<()> {
    let said = run.said()?;
    let right = status.code() == Some(1)
        && said.contains("nobody read")
        && said.contains("not written")
        && said.contains("Log of ");
    ensure!(right, "{status}: {said}");
    Ok(())
}

fn pipe_ends(ask: Ask) -> Result<()> {
    let mut stage = Stage::new()?;
    let more: &[&str] = match ask {
        Ask::Duration => &["--duration", "1s"],
        _ => &[],
    };
    let (mut run, _reader) = blocked(&mut stage, more)?;
    let status = match ask {
        Ask::Duration => run.ends_within(grace() + Duration::from_secs(1))?,
        Ask::Term | Ask::Int => {
            std::thread::sleep(Duration::from_millis(200));
            let signal = if matches!(ask, Ask::Int) {
                Signal::INT
            } else {
                Signal::TERM
            };
            run.signal(signal)?;
            run.ends_within(grace())?
        }
    };
    failed(&run, status)
}

/// Who does not want to wait sends a second signal.
fn at_once() -> Result<()> {
    let mut stage = Stage::new()?;
    let (mut run, _reader) = blocked(&mut stage, &[])?;
    run.signal(Signal::INT)?;
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    run.signal(Signal::INT)?;
    let status = run.ends_within(grace())?;
    ensure!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    let said = run.said()?;
    ensure!(
        status.code() == Some(1) && said.contains("second signal"),
        "{status}: {said}"
    );
    Ok(())
}

/// A reader that stops reading.
fn fifo() -> Result<()> {
    let (scratch, mut stage) = (Scratch::new()?, Stage::new()?);
    let path = scratch.file("fifo");
    mkfifoat(rustix::fs::CWD, &path, Mode::RUSR | Mode::WUSR)?;
    let _reader = open(&path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
    let (mut run, _) = blocked(&mut stage, &["-o", &path])?;
    run.signal(Signal::TERM)?;
    let status = run.ends_within(grace())?;
    failed(&run, status)
}

/// A reader that never comes; and one that comes late and gets everything.
fn no_reader() -> Result<()> {
    let (scratch, mut stage) = (Scratch::new()?, Stage::new()?);
    let path = scratch.file("fifo");
    mkfifoat(rustix::fs::CWD, &path, Mode::RUSR | Mode::WUSR)?;
    let (mut run, _) = blocked(&mut stage, &["-o", &path])?;
    run.signal(Signal::TERM)?;
    let status = run.ends_within(grace())?;
    failed(&run, status)?;

    let (mut run, _) = blocked(&mut stage, &["-o", &path])?;
    let reader = std::thread::spawn(move || std::fs::read_to_string(path));
    std::thread::sleep(Duration::from_millis(500));
    run.end(Signal::TERM)?;
    let text = reader
        .join()
        .map_err(|_| anyhow::anyhow!("it panicked"))??;
    ensure!(text.lines().count() > 400, "{}", text.lines().count());
    Ok(())
}

/// The other commands write by themselves.
fn looks() -> Result<()> {
    let mut stage = Stage::new()?;
    stage.server_leak(Family::Ipv4, 200)?;
    let netns = stage.netns().inode().to_string();
    for words in [
        "stuck --json --interval 10ms --older-than 0s",
        "stuck --interval 10ms --older-than 0s --all",
        "states --json --interval 10ms",
        "hist --json --interval 10ms",
    ] {
        let words = words.split(' ').chain(["--netns", &netns]);
        let words: Vec<_> = words.collect();
        let (_reader, writer) = pipe()?;
        let mut run = Run::start(&words, writer)?;
        // By then it is blocked: it has written more than a pipe takes, or is about to.
        std::thread::sleep(Duration::from_millis(1500));
        run.signal(Signal::TERM)?;
        let status = run.ends_within(grace())?;
        let said = run.said()?;
        let right = status.code() == Some(0) || said.contains("nobody reads");
        ensure!(right, "{words:?}: {status}: {said}");
    }
    Ok(())
}

/// Output and messages go to the same pipe.
fn messages() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode().to_string();
    let (mut reader, writer) = pipe()?;
    let err = writer.try_clone()?;
    let words = ["log", "--json", "--netns", &netns];
    let mut run = Run::start_with(&words, writer, err)?;
    let mut read = String::new();
    while !read.contains(READY) {
        let mut some = [0; 1024];
        let bytes = reader.read(&mut some)?;
        ensure!(bytes > 0, "it ended: {read}");
        read += &String::from_utf8_lossy(&some[..bytes]);
    }
    fill(&mut stage)?;
    run.signal(Signal::TERM)?;
    let status = run.ends_within(grace() * 2)?;
    ensure!(status.code() == Some(1), "{status}");
    Ok(())
}

/// What did not fit is counted: what was written, what was not, and what the kernel lost are all there was.
fn counts() -> Result<()> {
    let mut churn = Churn::start(Churn::netns()?)?;
    let netns = churn.netns.inode().to_string();
    let (reader, writer) = pipe()?;
    let words = ["log", "--json", "--buffer", "64KiB", "--netns", &netns];
    let mut run = Run::log(&words, writer)?;
    churn.run(3000)?;
    run.signal(Signal::TERM)?;
    let status = run.ends_within(grace())?;
    failed(&run, status)?;
    let said = run.said()?;
    let figure = |begin: &str, words: &str| -> u64 {
        let mut lines = said.lines().filter_map(|line| {
            let (number, rest) = line.strip_prefix(begin)?.split_once(' ')?;
            rest.starts_with(words).then(|| number.parse().ok())?
        });
        lines.next().unwrap_or(0)
    };
    // Five at each end, and those of the listeners; some of the last ones are remainders.
    let made = 2 * 3000 * 8;
    let seen = figure("  ", "transitions");
    let lost = figure("  ! ", "transitions lost");
    let unwritten = figure("  up to ", "lines not written");
    ensure!(
        lost > 0 && unwritten > 0 && seen + lost >= made,
        "{made} were made: {said}"
    );
    drop(reader);
    Ok(())
}
