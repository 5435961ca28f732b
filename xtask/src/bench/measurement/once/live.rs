//! Live sessions with many sockets stuck.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Result;

use super::race::{ONCE, Race, Way};
use crate::{
    bench::{
        Plan,
        gauge::{cpu_time, memory::Memory},
        load::crowd::Crowd,
        report::Section,
        subject::background::Background,
    },
    interrupt,
};

const STUCK: usize = 43_000;
const QUICK_STUCK: usize = 1000;
/// The start is over by then, also where it reads every descriptor from `/proc`.
const SETTLED: Duration = Duration::from_secs(3);
const LAP: Duration = Duration::from_secs(15);
const QUICK_LAP: Duration = Duration::from_secs(3);
/// Of one core.
const MOST_SHARE: f64 = 0.15;
/// In MiB.
const MOST_MEMORY: f64 = 60.0;

/// What every session is asked for.
const LIVE: [&str; 5] = ["stuck", "--interval", "1s", "--older-than", "0s"];
const OUTPUTS: [&[&str]; 2] = [&["--json"], &["--json", "--limit", "50"]];
const WALKS: [&str; 3] = ["auto", "files", "proc"];

/// What a session takes.
struct Cost {
    /// Of one core.
    share: f64,
    memory: Memory,
}

pub fn measure(plan: &Plan, section: &mut Section) -> Result<()> {
    let stuck = plan.size(STUCK, QUICK_STUCK);
    let lap = if plan.quick { QUICK_LAP } else { LAP };
    let _crowd = Crowd::new(stuck)?;
    check(plan, stuck)?;
    section.part("Live, many stuck");
    section.say(&format!(
        "A session that looks every second (`tcptrace {}`), with {stuck} sockets in CLOSE_WAIT, its output thrown \
         away. CPU time, user and system, is of {} s that begin {} s after the start; then the memory (`VmRSS`), and \
         the most that it ever was (`VmHWM`). The kernel's memory for the BPF maps is not included.",
        LIVE.join(" "),
        lap.as_secs(),
        SETTLED.as_secs(),
    ));
    let mut rows = Vec::new();
    for output in OUTPUTS {
        for walk in WALKS {
            let name = format!("`{} --walk {walk}`", output.join(" "));
            let Cost { share, memory } = session(plan, output, walk, lap)?;
            let row = vec![
                name,
                format!("{share:.3}"),
                format!("{:.1}", memory.now),
                format!("{:.1}", memory.most),
            ];
            eprintln!("{}", row.join(" | "));
            rows.push(row);
            if walk == WALKS[0] {
                let what =
                    |figure| format!("{figure}, live, {stuck} stuck, `{}`", output.join(" "));
                section.at_most(&what("share of a core"), share, MOST_SHARE, " cores");
                section.at_most(&what("RSS"), memory.now, MOST_MEMORY, " MiB");
                section.at_most(&what("RSS at most"), memory.most, MOST_MEMORY, " MiB");
            }
        }
    }
    let head = ["", "share of a core", "RSS, MiB", "at most, MiB"];
    section.table(&head, &rows);
    Ok(())
}

/// Whether tcptrace sees them all.
fn check(plan: &Plan, stuck: usize) -> Result<()> {
    let way = Way::tcptrace(plan, ONCE, &["--older-than", "0s", "--all"]);
    let race = Race {
        rounds: 1,
        least_lines: stuck,
        inside: None,
    };
    race.run(plan, &[way], || Ok(()))?;
    Ok(())
}

fn session(plan: &Plan, output: &[&str], walk: &str, lap: Duration) -> Result<Cost> {
    plan.patience.wait()?;
    let mut command = Command::new(&plan.program);
    command
        .args(LIVE)
        .args(output)
        .args(["--walk", walk])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let tcptrace = Background::start(command)?;
    interrupt::sleep(SETTLED)?;
    let (start, before) = (Instant::now(), cpu_time::so_far(tcptrace.pid())?);
    interrupt::sleep(lap)?;
    let used = cpu_time::so_far(tcptrace.pid())? - before;
    let share = used / start.elapsed().as_secs_f64();
    let memory = Memory::of(tcptrace.pid())?;
    tcptrace.stop()?;
    Ok(Cost { share, memory })
}
