//! Several processes that may be meant are named as several.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testbed::{Family, Stage};

use crate::{
    harness::{case::Cases, place::Place},
    run::{hist, log::LogTool, tool::Tool},
};

pub fn add(cases: &mut Cases) {
    cases
        .add("candidates_are_named_everywhere", two_may_accept)
        .here();
}

const FAMILY: Family = Family::Ipv4;

/// Two processes have a listener open, and nobody accepts: both are named, in each command and by each filter.
fn two_may_accept() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let listener = stage.listener(FAMILY).fd;
    let second = stage.server.worker("second", &[listener])?;
    let mut both = vec![stage.server.pid(), second];
    both.sort_unstable();
    let logs = ["--family ipv4".to_owned(), format!("--pid {second}")].map(|filter| {
        let words: Vec<_> = filter.split(' ').collect();
        LogTool::watch(Place::Btf, netns, &words)
    });
    let hist = hist::watch(Place::Btf, netns, "--by pid")?;
    stage.never_accepted(FAMILY, 1)?;
    let pids = |list: &Value| {
        let all = list.as_array().into_iter().flatten();
        let mut pids: Vec<_> = all.filter_map(|one| one["pid"].as_u64()).collect();
        pids.sort_unstable();
        pids
    };
    let both: Vec<_> = both.into_iter().map(u64::from).collect();
    for log in logs {
        let outcome = log?.end()?.outcome;
        let lines = outcome.stdout.lines().map(serde_json::from_str::<Value>);
        let lines = lines.collect::<Result<Vec<_>, _>>()?;
        let mut open = lines
            .iter()
            .filter(|line| line["schema"] == "tcptrace.open/1");
        let line = open.next().context("nothing is open")?;
        ensure!(
            pids(&line["candidates"]) == both && line["pid"].is_null(),
            "{line}"
        );
        ensure!(
            line["owner"] == "listener" && open.next().is_none(),
            "{lines:#?}"
        );
    }
    let outcome = hist.end()?;
    let last = outcome.stdout.lines().last().context("no report")?;
    let report: Value = serde_json::from_str(last)?;
    let one = &report["histograms"][0];
    ensure!(
        pids(&one["candidates"]) == both && one["key"]["pid"].is_null(),
        "{report}"
    );

    let run = |words: &[&str]| -> Result<String> {
        let netns = netns.to_string();
        let words = [words, &["--netns", &netns]].concat();
        Ok(Tool::start(Place::AsIs, &words)?.wait()?.success()?.stdout)
    };
    let report: Value = serde_json::from_str(&run(&["states", "--once", "--json"])?)?;
    let groups = report["groups"].as_array().context("no groups")?;
    let waits = groups
        .iter()
        .any(|group| pids(&group["candidates"]) == both);
    ensure!(waits, "{report:#}");
    let text = run(&["states", "--once"])?;
    ensure!(text.contains("leaky-server or second"), "{text}");
    let look = Tool::look(Place::Btf, netns, &["--pid", &second.to_string()])?;
    ensure!(
        look.groups.len() == 1 && look.groups[0].candidates.len() == 2,
        "{look:#?}"
    );
    Ok(())
}
