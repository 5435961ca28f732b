//! Missing privileges and wrong arguments.

use std::{os::unix::process::CommandExt, process::Command};

use anyhow::{Context, Result, ensure};
use rustix::thread::CapabilitySet;

use crate::{
    harness::{
        case::Cases,
        place::Place,
        user::{NOBODY, ToolCopy},
    },
    run::tool::Tool,
};

pub fn add(cases: &mut Cases) {
    cases.add("refused_without_privileges", without_privileges);
    cases.add("refused_wrong_words", wrong_words).here();
    cases.add("doctor_without_privileges", doctor_without_privileges);
    cases.add("hist_with_fewer_privileges", with_fewer).here();
}

/// The doctor works without any privileges, too.
fn doctor_without_privileges() -> Result<()> {
    let copy = ToolCopy::new()?;
    let mut command = Command::new(copy.path());
    command.args(["doctor", "--json"]).uid(NOBODY).gid(NOBODY);
    command.current_dir("/");
    let outcome = Tool::start_command(command)?.wait()?;
    ensure!(outcome.code()? == 1, "{outcome:?}");
    let works = serde_json::from_str::<serde_json::Value>(&outcome.stdout)?["works"].clone();
    ensure!(works == false, "{outcome:?}");
    ensure!(outcome.stdout.contains("CAP_BPF"), "{outcome:?}");
    Ok(())
}

fn without_privileges() -> Result<()> {
    let copy = ToolCopy::new()?;
    let mut command = Command::new(copy.path());
    command
        .args(["stuck", "--once", "--older-than", "5s"])
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/");
    let outcome = Tool::start_command(command)?.wait()?;
    ensure!(outcome.code()? == 1, "{outcome:?}");
    ensure!(outcome.stdout.is_empty(), "{outcome:?}");
    for word in [
        "tcptrace doctor",
        "CAP_BPF",
        "CAP_PERFMON",
        "CAP_NET_ADMIN",
        "CAP_SYS_PTRACE",
        "sudo",
        "--once --older-than 5s",
    ] {
        ensure!(
            outcome.stderr.contains(word),
            "{word} is not mentioned: {}",
            outcome.stderr
        );
    }
    Ok(())
}

/// The report, which scripts read, says what is not visible without a capability. Standard error alone is not enough.
fn with_fewer() -> Result<()> {
    let words = ["hist", "--json", "--duration", "1ms"];
    let tool = Tool::start_without(CapabilitySet::SYS_PTRACE, &words)?;
    let outcome = tool.wait()?.success()?;
    let report: serde_json::Value = serde_json::from_str(&outcome.stdout)?;
    let caveats = report["caveats"].as_array().context("no caveats")?;
    let named = caveats
        .iter()
        .any(|caveat| caveat["caveat"] == "missing_capabilities");
    ensure!(
        named && report["notes"].to_string().contains("CAP_SYS_PTRACE"),
        "{report}"
    );
    ensure!(outcome.stderr.contains("CAP_SYS_PTRACE"), "{outcome:?}");
    Ok(())
}

fn wrong_words() -> Result<()> {
    let wrong: &[(&[&str], &str)] = &[
        (&["--older-than", "soon"], "soon"),
        (&["--interval", "0s"], "0s"),
        (&["--state", "CLOSED_WAIT"], "CLOSED_WAIT"),
        (&["--state", "LISTEN"], "LISTEN"),
        (&["--remote", "10.0.0.0/33"], "10.0.0.0/33"),
        (&["--port", "70000"], "70000"),
        (&["--pid", "me"], "me"),
        (&["--family", "ipx"], "ipx"),
        (&["--netns", "no-such-namespace"], "no-such-namespace"),
        (&["--hook", "kprobe"], "kprobe"),
        (&["--max-sockets", "0"], "0"),
        (&["--limit", "few"], "few"),
        (&["--onse"], "--onse"),
        (&["stuk"], "stuk"),
    ];
    for (arguments, word) in wrong {
        let outcome = Tool::start(Place::AsIs, arguments)?.wait()?;
        ensure!(outcome.code()? == 2, "{arguments:?}: {outcome:?}");
        ensure!(
            outcome.stderr.contains(word),
            "{arguments:?}: {word} is not named: {}",
            outcome.stderr
        );
        ensure!(outcome.stdout.is_empty(), "{arguments:?}: {outcome:?}");
    }
    Ok(())
}
