//! Memory of a live session.

use std::{fs, process::Command};

use anyhow::{Context, Result};

use crate::bench::{
    Plan,
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
        let (now, most) = session(plan, &crowd, arguments, lines)?;
        rows.push(vec![name.into(), format!("{now:.1}"), format!("{most:.1}")]);
        let what = format!("RSS with {STUCK} stuck, {name}");
        section.at_most(&what, now, MOST, " MiB");
    }
    section.table(&["output", "RSS, MiB", "at most, MiB"], &rows);
    Ok(section)
}

/// MiB after some looks of this many lines each, and the maximum.
fn session(
    plan: &Plan,
    crowd: &Crowd,
    arguments: &[&str],
    lines_of_a_look: usize,
) -> Result<(f64, f64)> {
    let netns = crowd.netns().inode().to_string();
    let mut command = Command::new(&plan.program);
    command
        .args(arguments)
        .args(["--interval", "500ms", "--netns", &netns]);
    let (tcptrace, lines) = Background::start_timed(command)?;
    for _ in 0..LOOKS * lines_of_a_look {
        tcptrace.line(&lines)?;
    }
    let status = fs::read_to_string(format!("/proc/{}/status", tcptrace.pid()))?;
    tcptrace.stop()?;
    Ok((mib(&status, "VmRSS:")?, mib(&status, "VmHWM:")?))
}

fn mib(status: &str, name: &str) -> Result<f64> {
    let kib: Option<f64> = status.lines().find_map(|line| {
        line.strip_prefix(name)?
            .trim()
            .strip_suffix(" kB")?
            .parse()
            .ok()
    });
    Ok(kib.with_context(|| format!("the kernel does not report {name}"))? / 1024.0)
}
