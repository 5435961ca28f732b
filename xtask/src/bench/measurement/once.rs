//! One look beside many other sockets: tcptrace compared with ss.

use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::bench::{Plan, gauge::stats::Spread, load::crowd::Crowd, report::Section, subject};

const STUCK: usize = 1000;
const ESTABLISHED: [usize; 4] = [0, 10_000, 50_000, 100_000];
const QUICK_ESTABLISHED: [usize; 2] = [0, 10_000];

/// Ways to list sockets, in the order of the table's columns.
struct Ways {
    ss: Option<PathBuf>,
    program: PathBuf,
    netns: String,
}

pub fn measure(plan: &Plan) -> Result<Section> {
    let mut section = Section::new("One look beside many sockets");
    section.say(&format!(
        "{STUCK} sockets in CLOSE_WAIT beside a number of ESTABLISHED ones in one network namespace. Times from start \
         to end, in ms; both list all {STUCK}, with their processes. `ss` only looks at its own namespace; `tcptrace \
         --once --older-than 0s --all` looks at all namespaces of the machine, or with `--netns` at that one.",
    ));
    let mut crowd = Crowd::new(STUCK)?;
    let ways = Ways {
        ss: subject::find("ss"),
        program: plan.program.clone(),
        netns: crowd.netns().inode().to_string(),
    };
    if ways.ss.is_none() {
        section.say("`ss` is not installed, so it is not compared.");
    }
    let sizes: &[usize] = if plan.quick {
        &QUICK_ESTABLISHED
    } else {
        &ESTABLISHED
    };
    let mut rows = Vec::new();
    for established in sizes {
        crowd.grow(*established)?;
        let (row, ratio) = turns(plan, &ways, &crowd, *established)?;
        rows.push(row);
        if let Some(ratio) = ratio.filter(|_| Some(established) == ESTABLISHED.last()) {
            let what = format!(
                "`tcptrace --once` beside {established} established, faster than `ss -tanp`"
            );
            section.at_least(&what, ratio, 10.0, "×");
        }
    }
    let head = [
        "ESTABLISHED",
        "`ss -tanp`",
        "`ss -tan` (no processes)",
        "`tcptrace --once`",
        "`tcptrace --once --netns`",
        "`ss -tanp` ÷ `tcptrace`",
        "`ss -tanp` ÷ `tcptrace --netns`",
    ];
    section.table(&head, &rows);
    Ok(section)
}

fn turns(
    plan: &Plan,
    ways: &Ways,
    crowd: &Crowd,
    established: usize,
) -> Result<(Vec<String>, Option<f64>)> {
    let (mut holders, mut plain, mut all, mut one) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..=plan.rounds(15) {
        plan.patience.wait()?;
        let times = (
            ways.ss(crowd, "-tanp")?,
            ways.tcptrace(&[])?,
            ways.ss(crowd, "-tan")?,
            ways.tcptrace(&["--netns", &ways.netns])?,
        );
        if round > 0 {
            holders.extend(times.0);
            all.push(times.1);
            plain.extend(times.2);
            one.push(times.3);
        }
    }
    let show = |times: &[f64]| {
        Spread::of(times.iter().copied()).map_or_else(|_| "–".into(), |spread| spread.show(0))
    };
    let ratio = |times: &[f64]| {
        Spread::of(
            holders
                .iter()
                .zip(times)
                .map(|(ss, tcptrace)| ss / tcptrace),
        )
        .ok()
    };
    let (ratio_all, ratio_one) = (ratio(&all), ratio(&one));
    let show_ratio =
        |ratio: Option<Spread>| ratio.map_or_else(|| "–".into(), |ratio| ratio.show(1));
    let row = vec![
        established.to_string(),
        show(&holders),
        show(&plain),
        show(&all),
        show(&one),
        show_ratio(ratio_all),
        show_ratio(ratio_one),
    ];
    eprintln!("{}", row.join(" | "));
    Ok((row, ratio_all.map(|ratio| ratio.median)))
}

impl Ways {
    /// Milliseconds of ss inside the namespace.
    fn ss(&self, crowd: &Crowd, options: &str) -> Result<Option<f64>> {
        let Some(ss) = &self.ss else {
            return Ok(None);
        };
        let mut command = Command::new(ss);
        command.args([options, "state", "close-wait"]);
        crowd.netns().run(move || time(command))?.map(Some)
    }

    fn tcptrace(&self, more: &[&str]) -> Result<f64> {
        let mut command = Command::new(&self.program);
        command
            .args(["stuck", "--once", "--older-than", "0s", "--all"])
            .args(more);
        time(command)
    }
}

/// Milliseconds from start to end; fails unless all stuck sockets were listed.
fn time(mut command: Command) -> Result<f64> {
    let start = Instant::now();
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    let taken = start.elapsed();
    let lines = output.stdout.iter().filter(|byte| **byte == b'\n').count();
    if !output.status.success() || lines < STUCK {
        bail!(
            "{command:?} ended with {} after {lines} lines",
            output.status
        );
    }
    Ok(taken.as_secs_f64() / Duration::from_millis(1).as_secs_f64())
}
