//! One look beside many other sockets.

use anyhow::Result;

use super::race::{ONCE, ONCE_BY_FILES, ONCE_BY_PROC, Race, SS, STATES, Way, show};
use crate::bench::{Plan, load::crowd::Crowd, report::Section};

const STUCK: usize = 1000;
/// How many are ESTABLISHED, and how many times faster than ss tcptrace has to be. It is never to be slower.
const SIZES: [(usize, f64); 4] = [(0, 1.0), (10_000, 2.0), (50_000, 7.0), (100_000, 12.0)];
const QUICK_SIZES: [(usize, f64); 2] = [(0, 1.0), (10_000, 2.0)];
const ROUNDS: usize = 15;
/// How many times longer counting everything may take than listing what is stuck.
const MOST_OF_STATES: f64 = 2.0;

const SS_PLAIN: &str = "`ss -tan` (no processes)";
const ONCE_NETNS: &str = "`tcptrace --once --netns`";

pub fn measure(plan: &Plan, section: &mut Section) -> Result<()> {
    section.part("Many other sockets");
    section.say(&format!(
        "{STUCK} sockets in CLOSE_WAIT beside a number of ESTABLISHED ones in one network namespace. All list all \
         {STUCK}, with their processes. `ss` only looks at its own namespace, and is asked for this state only; \
         `tcptrace --once --older-than 0s --all` looks at all namespaces of the machine, or with `--netns` at that \
         one. {STATES} counts all sockets of the machine.",
    ));
    let mut crowd = Crowd::new(STUCK)?;
    let ways = ways(plan, &crowd);
    let sizes = if plan.quick {
        &QUICK_SIZES[..]
    } else {
        &SIZES[..]
    };
    let mut rows = Vec::new();
    for (established, least) in sizes {
        crowd.grow(*established)?;
        eprintln!("{established} established");
        let race = Race {
            rounds: ROUNDS,
            least_lines: STUCK,
            inside: Some(crowd.netns()),
        };
        let times = race.run(plan, &ways, || Ok(()))?;
        let mut row = vec![established.to_string()];
        let columns = [
            SS,
            SS_PLAIN,
            ONCE,
            ONCE_NETNS,
            ONCE_BY_FILES,
            ONCE_BY_PROC,
            STATES,
        ];
        row.extend(columns.map(|name| show(times.spread(name), 0)));
        row.extend([ONCE, ONCE_NETNS].map(|name| show(times.ratio(SS, name), 1)));
        rows.push(row);
        if let Some(ratio) = times.ratio(STATES, ONCE) {
            let what = format!("{STATES} beside {established} established, relative to {ONCE}");
            section.at_most(&what, ratio.median, MOST_OF_STATES, "×");
        }
        if let Some(ratio) = times.ratio(SS, ONCE) {
            let what = format!(
                "`tcptrace --once` beside {established} established, faster than `ss -tanp`"
            );
            section.at_least(&what, ratio.median, *least, "×");
        }
    }
    let head = [
        "ESTABLISHED",
        SS,
        SS_PLAIN,
        ONCE,
        ONCE_NETNS,
        "`--walk files`",
        "`--walk proc`",
        STATES,
        "`ss -tanp` ÷ `tcptrace`",
        "`ss -tanp` ÷ `tcptrace --netns`",
    ];
    section.table(&head, &rows);
    Ok(())
}

fn ways(plan: &Plan, crowd: &Crowd) -> Vec<Way> {
    let tcptrace = |name, more: &[&str]| {
        let options = [&["--older-than", "0s", "--all"], more].concat();
        Way::tcptrace(plan, name, &options)
    };
    let netns = crowd.netns().inode().to_string();
    let mut ways = vec![
        tcptrace(ONCE, &[]),
        tcptrace(ONCE_NETNS, &["--netns", &netns]),
        tcptrace(ONCE_BY_FILES, &["--walk", "files"]),
        tcptrace(ONCE_BY_PROC, &["--walk", "proc"]),
    ];
    ways.push(Way::states(plan));
    ways.extend(Way::ss(SS, &["-tanp", "state", "close-wait"]));
    ways.extend(Way::ss(SS_PLAIN, &["-tan", "state", "close-wait"]));
    ways
}
