//! What is said where nothing is stuck.

use std::{thread::sleep, time::Duration};

use anyhow::{Result, ensure};
use rustix::thread::CapabilitySet;
use testbed::{Family, Netns, Stage};

use crate::{
    harness::{case::Cases, place::Place},
    run::{snapshot::Snapshot, tool::Tool},
};

pub fn add(cases: &mut Cases) {
    cases
        .add("an_all_clear_says_what_was_looked_at", looked_at)
        .here();
    cases.add("a_look_at_nothing_says_so", at_nothing).here();
    cases
        .add("what_the_filter_leaves_out_is_counted", left_out)
        .here();
    cases.add("caveats_are_on_every_look", on_every_look).here();
}

fn once(words: &[&str]) -> Result<String> {
    let words = [&["--once"], words].concat();
    Ok(Tool::start(Place::AsIs, &words)?.wait()?.success()?.stdout)
}

fn looked_at() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode().to_string();
    let text = once(&["--netns", &netns])?;
    // Its three listeners.
    let expected =
        format!("Looked at 3 sockets in 1 network namespace, for what passes --netns {netns}.");
    ensure!(
        text.starts_with("Nothing stuck in CLOSE_WAIT for 30s or longer"),
        "{text}"
    );
    ensure!(text.contains(&expected), "{text}");
    let look = Tool::look(Place::AsIs, stage.netns().inode(), &[])?;
    let looked = look
        .looked
        .map(|looked| (looked.namespaces, looked.sockets));
    ensure!(looked == Some((1, Some(3))), "{looked:?}");
    let said = |words: &[&str]| -> Result<String> {
        Ok(Tool::start(Place::AsIs, words)?.wait()?.success()?.stdout)
    };
    let states = said(&["states", "--once", "--netns", &netns])?;
    let expected = format!("Only what passes --netns {netns} is counted.");
    ensure!(states.contains(&expected), "{states}");
    let hist = said(&["hist", "--netns", &netns, "--duration", "100ms"])?;
    let expected = format!("CLOSE_WAIT: no socket that passes --netns {netns} was in it");
    ensure!(hist.contains(&expected), "{hist}");
    stage.server_leak(Family::Ipv4, 2)?;
    let text = once(&["--netns", &netns])?;
    ensure!(
        text.contains("2 are in it, all younger: the oldest for "),
        "{text}"
    );
    // After a while they are no passing traffic.
    sleep(Duration::from_millis(1100));
    let text = once(&["--netns", &netns])?;
    for wanted in [
        "No socket is stuck in CLOSE_WAIT for 30s or longer yet",
        "2 are in it, all younger: the oldest for 1.",
        &format!(
            "The largest group: 2 of leaky-server[{}] on :",
            stage.server.pid()
        ),
        "Show them: tcptrace --older-than 0s",
    ] {
        ensure!(text.contains(wanted), "no {wanted:?}: {text}");
    }
    Ok(())
}

/// A session for a namespace that does not exist: it may still come, but this is no all-clear.
fn at_nothing() -> Result<()> {
    let words = ["--netns", "1", "--interval", "50ms", "--duration", "200ms"];
    let text = Tool::start(Place::AsIs, &words)?.wait()?.success()?.stdout;
    ensure!(text.starts_with("Nothing was looked at"), "{text}");
    ensure!(!text.contains("Nothing stuck"), "{text}");
    let words = [&words[..], &["--json"]].concat();
    let looks = Tool::start(Place::AsIs, &words)?
        .wait()?
        .success()?
        .snapshots()?;
    for look in &looks {
        let namespaces = look.looked.map(|looked| looked.namespaces);
        ensure!(namespaces == Some(0), "{look:#?}");
        ensure!(look.has_caveat("no_such_namespace"), "{look:#?}");
    }
    ensure!(!looks.is_empty(), "no look");
    Ok(())
}

fn left_out() -> Result<()> {
    let mut stage = Stage::new()?;
    stage.server_leak(Family::Ipv4, 2)?;
    let netns = stage.netns().inode().to_string();
    let words = [
        "--older-than",
        "0s",
        "--netns",
        &netns,
        "--remote",
        "10.9.0.0/16",
    ];
    let text = once(&words)?;
    ensure!(text.starts_with("Nothing stuck in CLOSE_WAIT"), "{text}");
    let said = format!(
        "2 sockets that are stuck or may be do not pass --remote 10.9.0.0/16 --netns {netns}."
    );
    ensure!(text.contains(&said), "{text}");
    Ok(())
}

/// Not only on the first one, which the next look wipes off a terminal.
fn on_every_look() -> Result<()> {
    let netns = Netns::new()?;
    let inode = netns.inode().to_string();
    let words = [
        "stuck",
        "--json",
        "--interval",
        "100ms",
        "--duration",
        "600ms",
        "--netns",
        &inode,
    ];
    let tool = Tool::start_without(CapabilitySet::SYS_PTRACE, &words)?;
    let looks = tool.wait()?.success()?.snapshots()?;
    ensure!(looks.len() > 2, "only {} looks", looks.len());
    // How many processes there are changes.
    let names = |look: &Snapshot| -> Vec<String> {
        let all = look.caveats.iter();
        all.map(|caveat| caveat.caveat.clone()).collect()
    };
    for look in &looks {
        ensure!(
            look.has_caveat("missing_capabilities"),
            "{:#?}",
            look.caveats
        );
        ensure!(names(look) == names(&looks[0]), "{:#?}", look.caveats);
    }
    Ok(())
}
