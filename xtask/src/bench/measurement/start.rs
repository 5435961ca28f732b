//! The time from start to the beginning of counting. That of `tcptrace stuck` is in `once`.

use std::{process::Command, sync::mpsc::Receiver, time::Instant};

use anyhow::Result;

use crate::bench::{
    Plan,
    gauge::stats::Spread,
    report::Section,
    subject::{COSTLIEST, COUNTING, background::Background},
};

pub fn measure(plan: &Plan) -> Result<Section> {
    let mut section = Section::new("Start of `tcptrace hist`");
    section.say(
        "The time from the start of the process to the message of `tcptrace hist --all-states --by comm` that it \
         counts.",
    );
    let mut times = Vec::new();
    for _ in 0..=plan.rounds(31) {
        times.push(time(plan, &COSTLIEST, |command| {
            Background::start_saying(command, COUNTING)
        })?);
    }
    // The first run reads the program from the disk.
    let counting = Spread::of(times.split_off(1))?;
    section.table(
        &["", "ms"],
        &[vec!["start of `hist` to counting".into(), counting.show(0)]],
    );
    Ok(section)
}

/// Milliseconds until a line comes.
pub(super) fn time(
    plan: &Plan,
    arguments: &[&str],
    start: impl Fn(Command) -> Result<(Background, Receiver<Instant>)>,
) -> Result<f64> {
    plan.patience.wait()?;
    let mut command = Command::new(&plan.program);
    command.args(arguments);
    let started = Instant::now();
    let (tcptrace, lines) = start(command)?;
    let first = tcptrace.line(&lines)?;
    let taken = first.duration_since(started).as_secs_f64() * 1000.0;
    tcptrace.stop()?;
    Ok(taken)
}
