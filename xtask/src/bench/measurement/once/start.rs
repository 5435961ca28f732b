//! The time from start to first report of a live session.

use anyhow::Result;

use crate::bench::{
    Plan, gauge::stats::Spread, load::crowd::Crowd, measurement::start, report::Section,
    subject::background::Background,
};

const FEW: usize = 5;
const ROUNDS: usize = 31;
/// In milliseconds.
const MOST: f64 = 25.0;
const WALKS: [&str; 3] = ["auto", "files", "proc"];

pub fn measure(plan: &Plan, section: &mut Section) -> Result<()> {
    let _crowd = Crowd::new(FEW)?;
    let mut times = WALKS.map(|_| Vec::new());
    // The first round reads the program from the disk.
    for round in 0..=plan.rounds(ROUNDS) {
        for (walk, times) in WALKS.into_iter().zip(&mut times) {
            let arguments = ["stuck", "--json", "--older-than", "0s", "--walk", walk];
            let taken = start::time(plan, &arguments, Background::start_timed)?;
            if round > 0 {
                times.push(taken);
            }
        }
    }
    section.part("Start to first report");
    section.say(&format!(
        "The time from the start of the process to the first whole line of a live session, `tcptrace --json \
         --older-than 0s`, with {FEW} sockets in CLOSE_WAIT.",
    ));
    let mut rows = Vec::new();
    for (walk, times) in WALKS.into_iter().zip(times) {
        let spread = Spread::of(times)?;
        rows.push(vec![format!("`--walk {walk}`"), spread.show(1)]);
        if walk == WALKS[0] {
            section.at_most("start to first report", spread.median, MOST, " ms");
        }
    }
    section.table(&["", "ms"], &rows);
    Ok(())
}
