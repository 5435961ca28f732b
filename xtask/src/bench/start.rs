//! From start to first report.

use super::{Plan, background::Background, crowd::Crowd, report::Section, stats::Spread};
use anyhow::Result;
use std::{process::Command, time::Instant};

const FEW: usize = 5;

pub fn measure(plan: &Plan) -> Result<Section> {
    let mut section = Section::new("Start to first report");
    section.say(&format!(
        "From starting the process to the first whole line of `tcptrace --json --older-than 0s`, {FEW} sockets being \
         in CLOSE_WAIT.",
    ));
    let _crowd = Crowd::new(FEW)?;
    let mut times = Vec::new();
    for _ in 0..=plan.rounds(31) {
        plan.patience.wait()?;
        let mut command = Command::new(&plan.program);
        command.args(["stuck", "--json", "--older-than", "0s"]);
        let start = Instant::now();
        let (tcptrace, lines) = Background::start_timed(command)?;
        let first = tcptrace.line(&lines)?;
        times.push(first.duration_since(start).as_secs_f64() * 1000.0);
        tcptrace.stop()?;
    }
    // The first one reads the program from the disk.
    let spread = Spread::of(times.split_off(1))?;
    section.table(
        &["", "ms"],
        &[vec!["start to first report".into(), spread.show(0)]],
    );
    section.at_most("start to first report", spread.median, 100.0, " ms");
    Ok(section)
}
