//! Memory of a live session.

use std::process::Command;

use anyhow::Result;

use crate::bench::{
    Plan,
    gauge::memory::Memory,
    load::crowd::Crowd,
    report::Section,
    subject::{COSTLIEST, background::Background},
};

const STUCK: usize = 1000;
const LOOKS: usize = 3;
/// In MiB.
const MOST: f64 = 20.0;

pub fn measure(plan: &Plan) -> Result<Section> {
    let mut section = Section::new("Memory");
    section.say(&format!(
        "Memory of a live session with {STUCK} sockets stuck, after {LOOKS} looks (`VmRSS`), and its maximum (`VmHWM`, \
         reached at start); for `tcptrace hist --all-states --by comm`, after as many reports. The kernel's memory for \
         the BPF maps is not included.",
    ));
    let crowd = Crowd::new(STUCK)?;
    let stuck = ["stuck", "--older-than", "0s", "--all"];
    let stuck_json = [&stuck[..], &["--json"]].concat();
    let hist_json = [&COSTLIEST[..], &["--json"]].concat();
    let mut rows = Vec::new();
    for (name, arguments, lines) in [
        // A look in text has a line for each socket, and some more.
        ("text", &stuck[..], STUCK),
        ("JSON", &stuck_json, 1),
        ("`hist`, JSON", &hist_json, 1),
    ] {
        let Memory { now, most } = session(plan, &crowd, arguments, lines)?;
        rows.push(vec![name.into(), format!("{now:.1}"), format!("{most:.1}")]);
        let what = format!("RSS with {STUCK} stuck, {name}");
        section.at_most(&what, now, MOST, " MiB");
    }
    section.table(&["output", "RSS, MiB", "at most, MiB"], &rows);
    Ok(section)
}

/// The memory after some looks of this many lines each.
fn session(
    plan: &Plan,
    crowd: &Crowd,
    arguments: &[&str],
    lines_of_a_look: usize,
) -> Result<Memory> {
    let netns = crowd.netns().inode().to_string();
    let mut command = Command::new(&plan.program);
    command
        .args(arguments)
        .args(["--interval", "500ms", "--netns", &netns]);
    let (tcptrace, lines) = Background::start_timed(command)?;
    for _ in 0..LOOKS * lines_of_a_look {
        tcptrace.line(&lines)?;
    }
    let memory = Memory::of(tcptrace.pid())?;
    tcptrace.stop()?;
    Ok(memory)
}
