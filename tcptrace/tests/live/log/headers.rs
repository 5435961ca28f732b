//! What a recording says about itself, and how a replay uses it.

use std::{ffi::CString, io, os::unix::process::CommandExt, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use rustix::{
    fs::{Mode, OFlags},
    mount::{MountFlags, mount, mount_bind},
    process::Signal,
};
use serde_json::{Value, json};
use testbed::{Family, Stage};

use crate::{
    harness::{
        case::Cases,
        place::{Place, private_mounts},
        scratch::Scratch,
        verdict::Ignored,
    },
    run::{
        log::{LogTool, READY, is_header},
        tool::{Outcome, Tool, binary},
    },
};

pub fn add(cases: &mut Cases) {
    cases.add("log_header_names_the_namespace", named).here();
    cases.add("log_header_of_each_session", continued).here();
}

/// The headers among these lines.
fn headers(text: &str) -> Result<Vec<Value>> {
    let lines = text.lines().filter(|line| is_header(line));
    let lines = lines
        .map(serde_json::from_str)
        .collect::<Result<Vec<_>, _>>();
    Ok(lines?)
}

fn replay(file: &str, words: &str) -> Result<Outcome> {
    let mut arguments = vec!["replay", file];
    arguments.extend(words.split_whitespace());
    Tool::start(Place::AsIs, &arguments)?.wait()
}

/// Makes `command` start where the network namespace of this process has the name `blue` and no other one has a name.
fn where_blue(command: &mut Command, pid: u32) -> Result<()> {
    let namespace = CString::new(format!("/proc/{pid}/ns/net"))?;
    let enter = move || -> io::Result<()> {
        private_mounts()?;
        let none = None::<&std::ffi::CStr>;
        mount(c"tmpfs", c"/run", c"tmpfs", MountFlags::empty(), none)?;
        rustix::fs::mkdir(c"/run/netns", Mode::from(0o755))?;
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        drop(rustix::fs::open(
            c"/run/netns/blue",
            flags,
            Mode::from(0o644),
        )?);
        Ok(mount_bind(&*namespace, c"/run/netns/blue")?)
    };
    // SAFETY: between fork and exec, the closure only makes system calls, on strings made before. It allocates
    // nothing and takes no lock.
    unsafe { command.pre_exec(enter) };
    Ok(())
}

/// A replay understands the namespace names of the recorded machine, even if this machine does not have them.
fn named() -> Result<()> {
    if !Path::new("/run").is_dir() {
        return Err(Ignored::because("there is no /run to mount on"));
    }
    let scratch = Scratch::new()?;
    let file = scratch.file("log.jsonl");
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let mut command = Command::new(binary());
    command.args(["log", "--json", "-o", &file, "--netns", "blue"]);
    Place::AsIs.prepare(&mut command);
    where_blue(&mut command, stage.client.pid())?;
    let mut tool = Tool::start_command(command)?;
    tool.until_said(READY)?;
    stage.client_leak(Family::Ipv4, 2)?;
    tool.signal(Signal::INT)?;
    tool.wait()?.success()?;

    let text = std::fs::read_to_string(&file)?;
    let [header] = &headers(&text)?[..] else {
        anyhow::bail!("not one header: {text}");
    };
    ensure!(
        text.starts_with(r#"{"schema":"tcptrace.recording/1","version":""#),
        "{text}"
    );
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    ensure!(header["boot_id"] == boot_id.trim(), "{header}");
    let uname = rustix::system::uname();
    ensure!(header["kernel"] == uname.release().to_str()?, "{header}");
    ensure!(header["filters"] == json!({"netns": "blue"}), "{header}");
    let names = header["netns"].as_array().context("no names")?;
    let blue = json!({"inode": netns, "name": "blue"});
    ensure!(names.contains(&blue), "{header}");

    let by_name = replay(&file, "log --json --netns blue")?.success()?.stdout;
    ensure!(by_name == text, "{by_name}\nis not\n{text}");
    let stuck = replay(&file, "stuck --json --older-than 0s --netns blue")?.success()?;
    let stuck: Value = serde_json::from_str(&stuck.stdout)?;
    let sockets = stuck["sockets"].as_array().context("no sockets")?;
    ensure!(sockets.len() == 2, "{stuck}");
    ensure!(
        sockets.iter().all(|socket| socket["netns_name"] == "blue"),
        "{stuck}"
    );
    ensure!(
        stuck["notes"]
            .to_string()
            .contains("recorded with --netns blue"),
        "{stuck}"
    );
    for view in ["stuck", "log", "log --json", "hist"] {
        let refused = replay(&file, &format!("{view} --netns green"))?;
        ensure!(refused.code()? == 2, "{view}: {}", refused.stderr);
        ensure!(refused.stdout.is_empty(), "{view}: {}", refused.stdout);
        ensure!(
            refused.stderr.contains("--netns green: ") && refused.stderr.contains("blue"),
            "{view}: {}",
            refused.stderr
        );
    }
    Ok(())
}

/// Each file of a folder begins with the header of its session. Another session adds its own header before its lines.
fn continued() -> Result<()> {
    let scratch = Scratch::new()?;
    let dir = scratch.file("log");
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    for more in [&[][..], &["--family", "ipv4"]] {
        let arguments = [&["--dir", &dir][..], more].concat();
        let tool = LogTool::watch(Place::AsIs, netns, &arguments)?;
        stage.client_leak(Family::Ipv4, 1)?;
        tool.end()?;
    }
    let name = format!("{}-{}.jsonl", stage.client.pid(), "leaky-client");
    let text = std::fs::read_to_string(format!("{dir}/{name}"))?;
    ensure!(text.lines().next().is_some_and(is_header), "{text}");
    let filters: Vec<_> = headers(&text)?
        .iter()
        .map(|h| h["filters"].clone())
        .collect();
    let expected = [
        json!({"netns": netns}),
        json!({"netns": netns, "family": "ipv4"}),
    ];
    ensure!(filters == expected, "{filters:?}");
    Ok(())
}
