//! What a real terminal shows: its size, its keys, its abilities.

use std::process::Command;

use anyhow::{Result, ensure};
use testbed::{Family, Stage};
use unicode_width::UnicodeWidthStr as _;

use crate::{
    harness::{case::Cases, place::Place, verdict::Ignored},
    run::{
        terminal::{Terminal, shell},
        tool::binary,
    },
};

pub fn add(cases: &mut Cases) {
    cases.add("terminal_live_view", live_view).here();
    cases
        .add("terminal_stopped_and_back", stopped_and_back)
        .here();
    cases
        .add("terminal_without_abilities", without_abilities)
        .here();
    cases.add("terminal_of_each_size", of_each_size).here();
    cases
        .add("terminal_of_each_command", of_each_command)
        .here();
}

/// Sockets that are stuck, and the namespace that they are in.
fn leak(sockets: usize) -> Result<(Stage, String)> {
    let mut stage = Stage::new()?;
    stage.client_leak(Family::Ipv4, sockets)?;
    stage.server_leak(Family::Ipv6, sockets)?;
    let netns = stage.netns().inode().to_string();
    Ok((stage, netns))
}

fn tcptrace(words: &[&str], term: &str) -> Command {
    let mut command = Command::new(binary());
    command
        .args(words)
        .env("TERM", term)
        .env("LC_ALL", "C.UTF-8")
        .env_remove("NO_COLOR");
    Place::AsIs.prepare(&mut command);
    command
}

fn live(netns: &str) -> [&str; 6] {
    ["--older-than", "0s", "--interval", "50ms", "--netns", netns]
}

fn has_header(lines: &[String], sockets: usize) -> bool {
    let first = lines.first().map_or("", String::as_str);
    first.starts_with(&format!("{sockets} sockets stuck in CLOSE_WAIT"))
}

/// A look replaces the one before: nothing of it goes into the terminal's history. A new size counts from the next look
/// on. Ctrl-C leaves the last look, with the summary below it.
fn live_view() -> Result<()> {
    let (_stage, netns) = leak(4)?;
    let mut terminal = Terminal::start(tcptrace(&live(&netns), "xterm-256color"), (24, 80))?;
    terminal.until("a look", |lines| has_header(lines, 8))?;
    let looks = |terminal: &Terminal| terminal.raw().matches("sockets stuck in").count();
    let (before, history) = (looks(&terminal), terminal.history());
    terminal.until("more looks", |_| looks(&terminal) >= before + 10)?;
    ensure!(
        terminal.history() == history,
        "looks went into the history: {} lines, then {}",
        history,
        terminal.history()
    );
    ensure!(!terminal.raw().contains("\x1b[2J"), "it clears the screen");
    let lines = terminal.lines();
    for wanted in ["Leak:", "SOCKETS", "PROCESS", "CONNECTION", "AGE"] {
        ensure!(
            lines.iter().any(|line| line.contains(wanted)),
            "no {wanted}: {lines:#?}"
        );
    }
    terminal.resize(12, 60)?;
    // What was there before may be wrapped until the next look.
    let at = looks(&terminal);
    terminal.until("looks of the new size", |_| looks(&terminal) >= at + 3)?;
    let small = terminal.until("a look of the new size", |lines| has_header(lines, 8))?;
    ensure!(small.len() == 12, "{small:#?}");
    ensure!(
        small.iter().any(|line| line.contains("SOCKETS")),
        "no group: {small:#?}"
    );
    terminal.resize(40, 120)?;
    terminal.press(b"\x03")?;
    let status = terminal.ended()?;
    ensure!(status.code() == Some(0), "{status}");
    let last = terminal.lines();
    let position = |word: &str| last.iter().position(|line| line.contains(word));
    let (look, summary) = (position("sockets stuck in"), position("Session of"));
    ensure!(
        look.is_some() && look < summary && position("Next") > summary,
        "{last:#?}"
    );
    Ok(())
}

/// Ctrl-Z and back: the next look is whole.
fn stopped_and_back() -> Result<()> {
    let Some(mut bash) = shell() else {
        return Err(Ignored::because("no bash, which controls jobs"));
    };
    let (_stage, netns) = leak(2)?;
    bash.env("TERM", "xterm").env("LC_ALL", "C.UTF-8");
    let mut terminal = Terminal::start(bash, (24, 80))?;
    let words = live(&netns).join(" ");
    terminal.press(format!("{} {words}\n", binary().display()).as_bytes())?;
    terminal.until("a look", |lines| has_header(lines, 4))?;
    terminal.press(b"\x1a")?;
    terminal.until("the shell", |lines| {
        lines.iter().any(|line| line.contains("Stopped"))
    })?;
    terminal.press(b"fg\n")?;
    let is_whole = |lines: &[String]| {
        has_header(lines, 4) && !lines.iter().any(|line| line.contains("Stopped"))
    };
    terminal.until("a whole look", is_whole)?;
    terminal.press(b"\x03")?;
    terminal.until("the summary", |lines| {
        lines.iter().any(|line| line.contains("Session of"))
    })?;
    terminal.press(b"exit\n")?;
    terminal.ended()?;
    Ok(())
}

/// A terminal that cannot move its cursor gets no codes at all; `NO_COLOR` no colours; another locale than UTF-8 only
/// ASCII; a multiplexer the same as others.
fn without_abilities() -> Result<()> {
    let (_stage, netns) = leak(2)?;
    let words = [&live(&netns)[..], &["--duration", "400ms"]].concat();
    let run = |term: &str, variable: (&str, &str)| -> Result<Terminal> {
        let mut command = tcptrace(&words, term);
        command.env(variable.0, variable.1);
        let mut terminal = Terminal::start(command, (24, 80))?;
        let status = terminal.ended()?;
        ensure!(status.code() == Some(0), "{status}: {}", terminal.raw());
        ensure!(terminal.raw().contains("Session of"), "{}", terminal.raw());
        Ok(terminal)
    };
    // Also where others would write colours all the same.
    for variable in [("LC_ALL", "C.UTF-8"), ("CI", "true"), ("CLICOLOR", "1")] {
        let dumb = run("dumb", variable)?.raw();
        ensure!(!dumb.contains('\x1b'), "{variable:?}: codes: {dumb:?}");
    }
    let grey = run("xterm", ("NO_COLOR", "1"))?.raw();
    ensure!(grey.contains("\x1b[H"), "not in place: {grey:?}");
    let colour = |text: &str| {
        text.split("\x1b[").skip(1).any(|code| {
            code.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';')
                .starts_with('m')
        })
    };
    ensure!(!colour(&grey), "colours: {grey:?}");
    let plain = run("xterm", ("LC_ALL", "C"))?.raw();
    ensure!(plain.is_ascii(), "not ASCII: {plain:?}");
    ensure!(colour(&plain), "no colours: {plain:?}");
    let inside = run("tmux-256color", ("TMUX", "x"))?;
    ensure!(!inside.raw().contains("\x1b[2J"), "it clears the screen");
    Ok(())
}

/// One look fits the terminal as the live view does, whatever its size; what is important is at the top.
fn of_each_size() -> Result<()> {
    let (_stage, netns) = leak(40)?;
    for (rows, columns) in [(12, 60), (24, 80), (30, 120), (50, 200)] {
        for more in [&[][..], &["--explain=1"]] {
            let words = [
                &["--once", "--older-than", "0s", "--netns", &netns][..],
                more,
            ]
            .concat();
            let mut terminal = Terminal::start(tcptrace(&words, "xterm"), (rows, columns))?;
            let status = terminal.ended()?;
            let lines = terminal.lines();
            ensure!(status.code() == Some(0), "{status}: {lines:#?}");
            ensure!(has_header(&lines, 80), "{columns}x{rows}: {lines:#?}");
            ensure!(
                terminal.history() == 0,
                "{columns}x{rows}: it is longer than the screen"
            );
            let raw = anstream::adapter::strip_str(&terminal.raw()).to_string();
            let wide = raw.lines().find(|line| line.width() > columns.into());
            ensure!(wide.is_none(), "{columns}x{rows}: {wide:?}");
        }
    }
    Ok(())
}

/// No command writes a line that is wider than its terminal.
fn of_each_command() -> Result<()> {
    let (_stage, netns) = leak(3)?;
    let at = ["--netns", &netns];
    let short = ["--duration", "300ms"];
    let commands: [Vec<&str>; 4] = [
        [&["states", "--once"], &at[..]].concat(),
        [&["log"], &at[..], &short].concat(),
        [&["hist"], &at[..], &short].concat(),
        vec!["doctor"],
    ];
    for words in &commands {
        for columns in [60, 80, 120] {
            let mut terminal = Terminal::start(tcptrace(words, "xterm"), (24, columns))?;
            let status = terminal.ended()?;
            let raw = anstream::adapter::strip_str(&terminal.raw()).to_string();
            ensure!(status.code() == Some(0), "{words:?}: {status}: {raw}");
            // A progress line is written over.
            let lines = raw.lines().flat_map(|line| line.split('\r'));
            let wide: Vec<_> = lines.filter(|line| line.width() > columns.into()).collect();
            ensure!(wide.is_empty(), "{words:?} at {columns}: {wide:#?}");
        }
        let words = [&words[..], &["--ascii"]].concat();
        let mut terminal = Terminal::start(tcptrace(&words, "xterm"), (24, 80))?;
        terminal.ended()?;
        let raw = terminal.raw();
        ensure!(raw.is_ascii() && !raw.is_empty(), "{words:?}: {raw:?}");
    }
    Ok(())
}
