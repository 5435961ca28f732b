//! The time from start to first report, and to the beginning of counting.

use std::{process::Command, sync::mpsc::Receiver, time::Instant};

use anyhow::Result;

use crate::bench::{
    Plan,
    gauge::stats::Spread,
    load::crowd::Crowd,
    report::Section,
    subject::{COSTLIEST, COUNTING, background::Background},
};

const FEW: usize = 5;

pub fn measure(plan: &Plan) -> Result<Section> {
    let mut section = Section::new("Start to first report");
    section.say(&format!(
        "The time from the start of the process to the first whole line of `tcptrace --json --older-than 0s`, with \
         {FEW} sockets in CLOSE_WAIT, and to the message of `tcptrace hist --all-states --by comm` that it counts.",
    ));
    let _crowd = Crowd::new(FEW)?;
    let report = times(
        plan,
        &["stuck", "--json", "--older-than", "0s"],
        Background::start_timed,
    )?;
    let counting = times(plan, &COSTLIEST, |command| {
        Background::start_saying(command, COUNTING)
    })?;
    section.table(
        &["", "ms"],
        &[
            vec!["start to first report".into(), report.show(0)],
            vec!["start of `hist` to counting".into(), counting.show(0)],
        ],
    );
    section.at_most("start to first report", report.median, 100.0, " ms");
    Ok(section)
}

/// Milliseconds until a line comes.
fn times(
    plan: &Plan,
    arguments: &[&str],
    start: impl Fn(Command) -> Result<(Background, Receiver<Instant>)>,
) -> Result<Spread> {
    let mut times = Vec::new();
    for _ in 0..=plan.rounds(31) {
        plan.patience.wait()?;
        let mut command = Command::new(&plan.program);
        command.args(arguments);
        let started = Instant::now();
        let (tcptrace, lines) = start(command)?;
        let first = tcptrace.line(&lines)?;
        times.push(first.duration_since(started).as_secs_f64() * 1000.0);
        tcptrace.stop()?;
    }
    // The first run reads the program from the disk.
    Spread::of(times.split_off(1))
}
