//! Filters that name what nothing on the machine has: an error for a single look, a caveat for a session.

mod odd;

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testbed::{Actor, Family, Order, Stage};

use crate::{
    harness::{case::Cases, place::Place},
    run::tool::{Outcome, Tool},
};

pub fn add(cases: &mut Cases) {
    odd::add(cases);
    cases.add("filter_of_what_cannot_be", what_cannot_be).here();
    cases.add("filter_of_nothing_once", one_look).here();
    cases.add("filter_of_nothing_sessions", sessions).here();
    cases
        .add("filter_of_nothing_until_it_comes", until_it_comes)
        .here();
    cases.add("filter_of_some_that_exist", some_exist).here();
}

/// No process has it: other tests run, and their names begin otherwise.
const NOBODY: &str = "of-no-process";

/// All single looks.
const LOOKS: [&str; 2] = [
    "stuck --once --older-than 0s --json",
    "states --once --json",
];
/// All sessions.
const SESSIONS: [&str; 4] = [
    "stuck --json --older-than 0s --duration 100ms",
    "states --json --duration 100ms",
    "log --json --duration 100ms",
    "hist --json --duration 100ms",
];

fn run(words: &str, more: &[&str]) -> Result<Outcome> {
    let words = words.split(' ').chain(more.iter().copied());
    Tool::start(Place::AsIs, &words.collect::<Vec<_>>())?.wait()
}

/// It was refused, before anything was shown.
fn refused(outcome: &Outcome, option: &str, reason: &str) -> Result<()> {
    let said = &outcome.stderr;
    ensure!(
        outcome.code()? == 2
            && outcome.stdout.is_empty()
            && said.starts_with(&format!("tcptrace: --{option} "))
            && said.contains("\n  try: ")
            && said.contains(reason),
        "not refused because of --{option}, {reason}: {outcome:?}"
    );
    Ok(())
}

/// The count and the text of a caveat.
type Said = (Option<u64>, String);

/// The caveats with this name in each line.
fn caveats(outcome: &Outcome, name: &str) -> Result<Vec<Vec<Said>>> {
    let of_line = |line: &str| -> Result<Vec<_>> {
        let line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let all = line["caveats"].as_array().context("no caveats")?;
        let mine = all.iter().filter(|one| one["caveat"] == name);
        let text = |one: &Value| one["text"].as_str().unwrap_or_default().to_owned();
        Ok(mine.map(|one| (one["count"].as_u64(), text(one))).collect())
    };
    outcome.stdout.lines().map(of_line).collect()
}

fn has_no_caveat(outcome: &Outcome) -> Result<()> {
    ensure!(outcome.code()? == 0, "{outcome:?}");
    ensure!(!outcome.stdout.contains("no_such_"), "{outcome:?}");
    Ok(())
}

/// The number of a process that has ended.
fn ended() -> Result<u32> {
    let mut child = Command::new("true").spawn()?;
    child.wait()?;
    Ok(child.id())
}

/// Whether something may be in a network namespace that tcptrace cannot see.
fn sees_all_processes() -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_refused = |path: std::path::PathBuf| {
        let error = fs::metadata(path.join("ns/net")).err();
        error.is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    };
    !processes.map(|entry| entry.path()).any(is_refused)
}

/// Every command refuses it, a replay before it opens the recording.
fn what_cannot_be() -> Result<()> {
    let commands = [
        "stuck",
        "stuck --once",
        "log",
        "hist",
        "states",
        "states --once",
        "replay /no/such/file stuck",
        "replay /no/such/file log",
        "replay /no/such/file hist",
    ];
    for command in commands {
        for (option, value, reason) in [
            ("comm", "", "1 to 15 bytes"),
            ("comm", "java,", "1 to 15 bytes"),
            (
                "comm",
                "inventory-service-prod",
                "try: --comm 'inventory-servi'",
            ),
            ("pid", "0", "from 1 to 4194303"),
            ("pid", "4194304", "from 1 to 4194303"),
            ("netns", "0", "no network namespace"),
            ("netns", "", "an inode number"),
            ("cgroup", "", "the root"),
            ("cgroup", "/a/../b", "'..'"),
            ("cgroup", "4:memory:/a", "0::"),
        ] {
            let outcome = run(command, &[&format!("--{option}={value}")])?;
            refused(&outcome, option, reason).context(command)?;
        }
    }
    // Only this machine tells.
    for command in &commands[..6] {
        for (value, reason) in [
            ("/proc/self/ns/mnt", "another kind"),
            ("/proc/self/stat", "no namespace"),
            ("/proc", "a directory"),
            ("no-such-name", "No such file"),
        ] {
            let outcome = run(command, &["--netns", value])?;
            refused(&outcome, "netns", reason).context(*command)?;
        }
    }
    Ok(())
}

/// The option, a value that nothing has, the caveat's name, and what is said.
fn nothings() -> Result<[(&'static str, String, &'static str, String); 3]> {
    let pid = ended()?.to_string();
    let no_process = format!("there is no process {pid}");
    let no_group = "there is no control group /no/such.slice".to_owned();
    Ok([
        (
            "comm",
            NOBODY.into(),
            "no_such_name",
            format!("no process has the name {NOBODY}"),
        ),
        ("pid", pid, "no_such_process", no_process),
        ("cgroup", "no/such.slice".into(), "no_such_cgroup", no_group),
    ])
}

fn one_look() -> Result<()> {
    for look in LOOKS {
        for (option, value, _, reason) in nothings()? {
            let outcome = run(look, &[&format!("--{option}"), &value])?;
            // The name stands before it.
            let reason = reason.replace(&format!("the name {NOBODY}"), "this name");
            refused(&outcome, option, &reason).context(look)?;
        }
        let outcome = run(look, &["--netns", "1"])?;
        if sees_all_processes() {
            refused(&outcome, "netns", "there is no network namespace 1").context(look)?;
        } else {
            let all = caveats(&outcome, "no_such_namespace")?;
            ensure!(all.len() == 1 && all[0].len() == 1, "{outcome:?}");
            ensure!(all[0][0].1.contains("does not see all"), "{outcome:?}");
        }
    }
    // Names that are like it are proposed, and those who have such sockets.
    let mut stage = Stage::new()?;
    stage.client_leak(Family::Ipv4, 1)?;
    let netns = stage.netns().inode().to_string();
    let outcome = run(LOOKS[0], &["--netns", &netns, "--comm", "Leaky-Clien"])?;
    refused(&outcome, "comm", "names like it: leaky-client")?;
    refused(
        &outcome,
        "comm",
        "1 socket of 1 other process is stuck: leaky-client",
    )?;
    refused(&outcome, "comm", "try: tcptrace --comm leaky-client")
}

/// The same values, in the same words, once in each snapshot or report, or on standard error.
fn sessions() -> Result<()> {
    for session in SESSIONS {
        let mut all = nothings()?.to_vec();
        all.push((
            "netns",
            "1".into(),
            "no_such_namespace",
            "there is no network namespace 1 ".into(),
        ));
        for (option, value, name, reason) in all {
            let words = format!("--{option}");
            let outcome = run(session, &[&words, &value])?;
            if session.starts_with("hist") && option == "cgroup" {
                refused(&outcome, option, &reason)?;
                continue;
            }
            ensure!(outcome.code()? == 0, "{session}: {outcome:?}");
            let times = |text: &str| text.matches(&*reason).count();
            if !session.starts_with("log") {
                let all = caveats(&outcome, name)?;
                let once = |all: &Vec<(Option<u64>, String)>| matches!(&all[..], [(Some(1), text)] if times(text) == 1);
                ensure!(
                    !all.is_empty() && all.iter().all(once),
                    "{session}: {outcome:?}"
                );
            }
            let said = times(&outcome.stderr);
            // hist says it at the start, and with its report.
            let right = match &session[..4] {
                "log " => said == 1,
                "hist" => said == 2,
                _ => said == 0,
            };
            ensure!(right, "{session}: {outcome:?}");
        }
    }
    Ok(())
}

/// A socket of the actor that the server has shut down.
pub fn leak(stage: &mut Stage, actor: &mut Actor) -> Result<()> {
    let (address, count) = (stage.listener(Family::Ipv4).local, 1);
    let fd = actor.socket(&Order::Connect { address, count })?.fd;
    for server in stage.accept(Family::Ipv4, 1)? {
        stage.server.tell(&Order::Shutdown { fd: server.fd })?;
    }
    let state = testbed::state::CLOSE_WAIT;
    actor.tell(&Order::Await { fd, state })?;
    Ok(())
}

/// The caveat stays until a process of this name is there.
fn until_it_comes() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let mut tool = Tool::watch(Place::Btf, netns, &["--comm", "late-comer"])?;
    ensure!(tool.fresh()?.has_caveat("no_such_name"));
    ensure!(tool.fresh()?.has_caveat("no_such_name"));
    let mut late = Actor::start(stage.netns(), "late-comer")?;
    tool.until("the process", |look| !look.has_caveat("no_such_name"))?;
    leak(&mut stage, &mut late)?;
    let look = tool.fresh()?;
    ensure!(look.sockets.len() == 1, "{look:#?}");
    ensure!(!look.has_caveat("no_such_name"), "{look:#?}");
    tool.end()?;
    Ok(())
}

/// Of several values those that nothing has are named; what exists without such sockets is no error.
fn some_exist() -> Result<()> {
    let mut stage = Stage::new()?;
    let truths = stage.client_leak(Family::Ipv4, 2)?;
    let netns = stage.netns().inode();
    let names = format!("leaky-client,{NOBODY},leaky-client");
    let look = Tool::look(Place::AsIs, netns, &["--comm", &names])?;
    ensure!(look.sockets.len() == truths.len(), "{look:#?}");
    let mine: Vec<_> = look
        .caveats
        .iter()
        .filter(|one| one.caveat == "no_such_name")
        .collect();
    ensure!(mine.len() == 1 && mine[0].count == Some(1), "{look:#?}");
    ensure!(!mine[0].text.contains("leaky-client"), "{look:#?}");
    let idle = Actor::start(stage.netns(), "idle-one")?;
    let netns = netns.to_string();
    let (pid, names) = (idle.pid().to_string(), format!("idle-one,{NOBODY}"));
    for look in LOOKS {
        for more in [["--comm", "idle-one"], ["--pid", &pid]] {
            has_no_caveat(&run(look, &[&more[..], &["--netns", &netns]].concat())?)?;
        }
        let outcome = run(look, &["--netns", &netns, "--comm", &names])?;
        let all = caveats(&outcome, "no_such_name")?;
        ensure!(all.len() == 1 && all[0].len() == 1, "{look}: {outcome:?}");
    }
    Ok(())
}
