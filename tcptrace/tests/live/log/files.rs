//! Where a log goes: a file for each process, one file, a terminal. How it is read again.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::Value;
use testbed::{Family, Order, Stage};

use crate::{
    harness::{case::Cases, place::Place, scratch::Scratch},
    log::check::{self, Accepts},
    run::{
        line::Line,
        log::{Log, LogTool, READY, is_header, lines},
        snapshot::{Snapshot, Socket},
        tool::{KilledWhenDropped, Tool, binary},
    },
    truth::{openings, scene::Scene},
};

pub fn add(cases: &mut Cases) {
    cases.add("log_folder", folder).here();
    cases.add("log_recording", recording).here();
    cases.add("log_to_a_full_disk", full_disk).here();
    cases.add("log_as_text", text).here();
}

fn pid_of(line: &Line) -> Option<u32> {
    match line {
        Line::Transition(line) => line.subject.pid,
        Line::Open(line) => line.subject.pid,
        Line::Lost(_) => None,
    }
}

/// Every file has the lines of its process and no others, all files together have every line, and the index lists them.
fn folder() -> Result<()> {
    let scratch = Scratch::new()?;
    let dir = scratch.file("log");
    let mut stage = Stage::new()?;
    // The name must not make a path out of the folder.
    let comm = b"../../\x1b[2J/\n".to_vec();
    stage.client.tell(&Order::Rename { comm })?;
    let netns = stage.netns().inode();
    let tool = LogTool::watch(Place::Btf, netns, &["--dir", &dir])?;
    let mut scene = Scene::new(stage, Family::Ipv4)?;
    openings::ALL[0](&mut scene)?;
    for case in openings::PROCESSES {
        case(&mut scene)?;
    }
    let (_stage, told) = scene.finish()?;
    let outcome = tool.end()?.outcome;
    ensure!(outcome.stdout.is_empty(), "{}", outcome.stdout);

    let index = std::fs::read_to_string(format!("{dir}/index.jsonl"))?;
    let mut indexed = BTreeMap::<String, [u64; 2]>::new();
    let mut pids = BTreeMap::new();
    for line in index.lines() {
        let line: Value = serde_json::from_str(line)?;
        ensure!(line["schema"] == "tcptrace.index/1", "{line}");
        let Some(name) = line["file"].as_str() else {
            ensure!(line["lost"]["transitions"] == 0, "{line}");
            continue;
        };
        let sums = indexed.entry(name.to_owned()).or_default();
        for (sum, figure) in sums.iter_mut().zip(["lines", "bytes"]) {
            *sum += line[figure].as_u64().context("no number")?;
        }
        pids.insert(name.to_owned(), line["pid"].as_u64());
    }
    let mut whole = String::new();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&dir)? {
        let path = entry?.path();
        let name = path.file_name().context("no name")?.to_string_lossy();
        if ["index.jsonl", "tcptrace.lock"].contains(&&*name) {
            continue;
        }
        let odd = |c: char| c.is_control() || c == '/' || c == '\x1b';
        ensure!(!name.contains(odd) && name.ends_with(".jsonl"), "{name:?}");
        let text = std::fs::read_to_string(&path)?;
        let lines = lines(&text)?;
        let header = text.lines().next().context("it is empty")?;
        ensure!(is_header(header), "no header: {header}");
        let bytes = text.len() - header.len() - 1;
        let entry = indexed.get(&*name);
        let entry = entry.with_context(|| format!("{name} is not in the index"))?;
        let pid = pids[&*name];
        let of_one = !name.starts_with("others.");
        for line in lines.iter().filter(|_| of_one) {
            ensure!(
                pid_of(line).map(u64::from) == pid,
                "in {name}, but of {pid:?}: {line:#?}"
            );
        }
        if let Some(pid) = pid {
            ensure!(name.starts_with(&format!("{pid}-")), "{name} is of {pid}");
        }
        ensure!(
            *entry == [lines.len() as u64, bytes as u64],
            "{name}: {entry:?}, but there are {} lines in {bytes} bytes",
            lines.len(),
        );
        whole += &text;
        names.push(name.into_owned());
    }
    ensure!(names.len() == indexed.len(), "{names:?}, not {index}");
    // A socket that one process opens and another uses has lines in both files.
    let mut lines = Vec::new();
    for line in whole.lines() {
        let fields: Value = serde_json::from_str(line)?;
        lines.push((fields["monotonic_ns"].as_u64(), line));
    }
    lines.sort_by_key(|(moment, _)| *moment);
    let lines: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
    let log = Log::of(Place::Btf, &lines.join("\n"))?;
    check::exactly(&log, netns, &told, Accepts::Known)
}

/// Replays a recording, both line by line and as a view of what is stuck.
fn recording() -> Result<()> {
    let scratch = Scratch::new()?;
    let (packed, plain) = (scratch.file("log.jsonl.zst"), scratch.file("log.jsonl"));
    let mut stage = Stage::new()?;
    let before = stage.server_leak(Family::Ipv6, 1)?;
    let netns = stage.netns().inode();
    let tool = LogTool::watch(Place::Btf, netns, &["-o", &packed])?;
    let other = LogTool::watch(Place::Btf, netns, &["-o", &plain])?;
    let mut scene = Scene::new(stage, Family::Ipv4)?;
    for case in &openings::ALL[..4] {
        case(&mut scene)?;
    }
    let (mut stage, told) = scene.finish()?;
    let look = Tool::look(Place::Btf, netns, &[])?;
    ensure!(look.sockets.len() == before.len(), "{look:#?}");
    tool.end()?;
    // The second recording also has a leak that began while it ran.
    let leaks = stage.client_leak(Family::Mapped, 2)?;
    let look_later = Tool::look(Place::Btf, netns, &[])?;
    other.end()?;

    let log = Log::of(Place::Btf, &replay(&packed, &["log", "--json"])?)?;
    check::exactly(&log, netns, &told, Accepts::Known)?;
    let text = std::fs::read_to_string(&plain)?;
    ensure!(
        replay(&plain, &["log", "--json"])? == text,
        "the replay differs from the recording"
    );
    let stuck = ["stuck", "--json", "--older-than", "0s"];
    agree(&replay(&packed, &stuck)?, &look, 0)?;
    agree(&replay(&plain, &stuck)?, &look_later, leaks.len())
}

fn replay(file: &str, view: &[&str]) -> Result<String> {
    let mut arguments = vec!["replay", file];
    arguments.extend(view);
    Ok(Tool::start(Place::AsIs, &arguments)?
        .wait()?
        .success()?
        .stdout)
}

/// A replayed snapshot. It has no state of tracing to check.
#[derive(Debug, Deserialize)]
struct Replayed {
    sockets: Vec<Socket>,
}

/// Checks that both show the same sockets of the same processes, and that the recording knows the exact ages of
/// this many of them.
fn agree(replayed: &str, look: &Snapshot, exact: usize) -> Result<()> {
    let replayed: Replayed = serde_json::from_str(replayed)?;
    let essence = |sockets: &[Socket]| {
        let mut all = Vec::new();
        for socket in sockets {
            let holders = socket.holders.iter().flatten();
            let mut holders: Vec<_> = holders.map(|h| (h.pid, h.fd, h.comm.clone())).collect();
            holders.sort();
            all.push((
                socket.cookie,
                socket.local.socket_addr(),
                socket.remote.socket_addr(),
                socket.role.clone(),
                socket.state.clone(),
                holders,
            ));
        }
        all.sort();
        all
    };
    ensure!(
        essence(&replayed.sockets) == essence(&look.sockets),
        "replayed: {replayed:#?}\nseen: {look:#?}"
    );
    let known = replayed.sockets.iter().filter(|s| s.age == "exact").count();
    ensure!(known == exact, "not {exact} are exact: {replayed:#?}");
    Ok(())
}

/// A failed write is an error with a message, both for a file and for standard output.
fn full_disk() -> Result<()> {
    for file in [true, false] {
        let mut stage = Stage::new()?;
        let netns = stage.netns().inode().to_string();
        let mut command = Command::new(binary());
        command.args(["log", "--json", "--netns", &netns]);
        if file {
            command.args(["-o", "/dev/full"]);
        }
        command
            .stdout(File::create("/dev/full")?)
            .stderr(Stdio::piped());
        Place::AsIs.prepare(&mut command);
        let mut child = KilledWhenDropped(command.spawn()?);
        let err = child.0.stderr.take().context("no stderr")?;
        let mut err = BufReader::new(err);
        let mut text = String::new();
        while !text.contains(READY) {
            ensure!(err.read_line(&mut text)? > 0, "it ended: {text}");
        }
        stage.connect(Family::Ipv4, 10)?;
        // The tool may have ended by then. It may also notice the failure only when it writes the last lines.
        std::thread::sleep(Duration::from_millis(200));
        let pid = Pid::from_raw(i32::try_from(child.0.id())?).context("no PID")?;
        kill_process(pid, Signal::INT)?;
        err.read_to_string(&mut text)?;
        let status = child.0.wait()?;
        ensure!(status.code() == Some(1), "{status}: {text}");
        ensure!(
            text.contains("space") && !text.contains("panicked"),
            "{text}"
        );
        ensure!(!file || text.contains("/dev/full"), "{text}");
    }
    Ok(())
}

/// Lines of text are aligned and cannot control a terminal, whatever the name of a process.
fn text() -> Result<()> {
    let mut stage = Stage::new()?;
    let comm = b"a\x1b[2J\n\r\x07\x7f\t|".to_vec();
    stage.client.tell(&Order::Rename { comm })?;
    let netns = stage.netns().inode().to_string();
    let tool = LogTool::start(Place::AsIs, &["--netns", &netns])?;
    let mut scene = Scene::new(stage, Family::Ipv4)?;
    for case in &openings::ALL[..2] {
        case(&mut scene)?;
    }
    let pids = [scene.stage.client.pid(), scene.stage.server.pid()];
    let (_stage, told) = scene.finish()?;
    let outcome = tool.tool.end()?;
    for (name, text) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
        let found = text.chars().find(|c| c.is_control() && *c != '\n');
        ensure!(found.is_none(), "{found:?} on {name}: {text:?}");
    }
    let lines: Vec<_> = outcome.stdout.lines().collect();
    let all = lines.iter().filter(|line| line.contains("->")).count();
    ensure!(
        all > told.iter().map(|history| history.steps.len()).sum(),
        "too few lines:\n{}",
        outcome.stdout
    );
    // A value that is wider than its column, like this name, moves the rest of its line.
    let arrows: Vec<_> = lines
        .iter()
        .filter(|line| !line.contains("\\u{1b}"))
        .filter_map(|line| Some(line[..line.find("->")?].chars().count()))
        .collect();
    ensure!(arrows.len() > 10, "too few lines:\n{}", outcome.stdout);
    ensure!(
        arrows.windows(2).all(|pair| pair[0] == pair[1]),
        "not aligned:\n{}",
        outcome.stdout
    );
    for pid in pids {
        let named = format!("[{pid}]");
        ensure!(
            lines.iter().any(|line| line.contains(&named)),
            "{pid} is not named:\n{}",
            outcome.stdout
        );
    }
    Ok(())
}
