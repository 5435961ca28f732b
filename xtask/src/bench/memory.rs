//! Memory of a live session.

use super::{Plan, background::Background, crowd::Crowd, report::Section};
use anyhow::{Context, Result};
use std::{fs, process::Command};

const STUCK: usize = 1000;
const LOOKS: usize = 3;

pub fn measure(plan: &Plan) -> Result<Section> {
    let mut section = Section::new("Memory");
    section.say(&format!(
        "Of a live session with {STUCK} sockets stuck, after {LOOKS} looks (`VmRSS`), and the most that it ever had \
         (`VmHWM`, reached at start).",
    ));
    let crowd = Crowd::new(STUCK)?;
    let mut rows = Vec::new();
    for (name, format) in [("text", &[][..]), ("JSON", &["--json"][..])] {
        let (now, most) = session(plan, &crowd, format)?;
        rows.push(vec![name.into(), format!("{now:.1}"), format!("{most:.1}")]);
        section.at_most(
            &format!("RSS with {STUCK} stuck, {name}"),
            now,
            20.0,
            " MiB",
        );
    }
    section.table(&["output", "RSS, MiB", "at most, MiB"], &rows);
    Ok(section)
}

/// MiB after some looks, and at most.
fn session(plan: &Plan, crowd: &Crowd, format: &[&str]) -> Result<(f64, f64)> {
    let netns = crowd.netns().inode().to_string();
    let mut command = Command::new(&plan.program);
    command
        .args([
            "stuck",
            "--older-than",
            "0s",
            "--interval",
            "500ms",
            "--all",
            "--netns",
            &netns,
        ])
        .args(format);
    let (tcptrace, lines) = Background::start_timed(command)?;
    // A look in text is a line for each socket and some more.
    let lines_of_a_look = if format.is_empty() { STUCK } else { 1 };
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
    Ok(kib.with_context(|| format!("the kernel does not say {name}"))? / 1024.0)
}
