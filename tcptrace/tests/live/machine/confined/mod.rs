//! What a command keeps of its privileges after its start is what the list says, for each of its threads; and it can
//! still do all that it does. All other live tests run the confined tool, too.

pub mod attempts;
mod clues;
mod missing;
mod second;
mod user;

use std::{
    collections::HashMap,
    fs,
    io::{PipeReader, PipeWriter, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::{
    io::Errno,
    thread::{CapabilitySet, capabilities},
};
use tcptrace::model::sandbox::{Capability, WRITER, Work};
use testbed::{Family, Stage, clock::patience};

use self::attempts::{ALWAYS, LOOKING, NEVER, WORD, WRITING};
use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
        scratch::Scratch,
        user::NOBODY,
    },
    run::{
        hist,
        log::LogTool,
        snapshot::Socket,
        tool::{KilledWhenDropped, Tool, binary},
    },
};

pub fn add(cases: &mut Cases) {
    cases.add_in(BOTH, "confined_stuck", stuck);
    cases.add_in(BOTH, "confined_log", log_on_the_screen);
    cases.add_in(BOTH, "confined_hist", hist).here();
    cases.add("confined_states", states).here();
    cases
        .add("confined_log_to_files", || log_to_files(None))
        .here();
    cases
        .add("confined_log_to_the_files_of_another", || {
            log_to_files(Some(NOBODY))
        })
        .here();
    for words in [&["stuck", "--once"][..], &["states", "--once"], &["doctor"]] {
        let name = format!("confined_while_it_writes::{}", words[0]);
        cases.add(&name, move || while_it_writes(words)).here();
    }
    cases.add("confined_before_it_reads", before_it_reads);
    cases.add("confined_attempts", attempts);
    cases.add("confined_panics_are_told", ends).here();
    clues::add(cases);
    missing::add(cases);
    second::add(cases);
    user::add(cases);
}

/// What `/proc` says of a thread.
#[derive(Debug)]
struct Thread {
    permitted: CapabilitySet,
    others: [CapabilitySet; 3],
    no_new_privs: bool,
    has_filter: bool,
}

impl Thread {
    fn of(folder: &Path) -> Result<Self> {
        let text = fs::read_to_string(folder.join("status"))?;
        let fields: HashMap<_, _> = (text.lines())
            .filter_map(|line| line.split_once(":\t"))
            .collect();
        let field = |name| fields.get(name).copied().with_context(|| text.clone());
        let set = |name| -> Result<_> {
            let bits = u64::from_str_radix(field(name)?, 16)?;
            Ok(CapabilitySet::from_bits_retain(bits))
        };
        Ok(Self {
            permitted: set("CapPrm")?,
            others: [set("CapEff")?, set("CapInh")?, set("CapAmb")?],
            no_new_privs: field("NoNewPrivs")? == "1",
            has_filter: field("Seccomp")? == "2",
        })
    }
}

/// Checks every thread of the process: the first one has exactly what the list says, the one that writes what `writer`
/// says, the one for signals nothing, as far as a process has it that is started here.
fn check(pid: u32, work: Work, writer: &[Capability]) -> Result<()> {
    let held = capabilities(None)?.permitted;
    let set = |all: &[Capability]| {
        all.iter()
            .fold(CapabilitySet::empty(), |all, one| all | bit(*one))
            & held
    };
    let (kept, _) = work.keeps();
    let kept = set(kept);
    let mut count = 0;
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        let folder = entry?.path();
        let Ok(thread) = Thread::of(&folder) else {
            // It has ended meanwhile.
            continue;
        };
        let is_first = folder.ends_with(pid.to_string());
        count += 1;
        ensure!(
            thread.no_new_privs && thread.has_filter,
            "{}: {folder:?}: {thread:?}",
            work.name()
        );
        let [effective, inheritable, ambient] = thread.others;
        let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
        let exactly = |set| thread.permitted == set && effective == set;
        let is_right = match name.trim() {
            _ if is_first => exactly(kept),
            "writer" => exactly(set(writer)),
            "signals" => exactly(CapabilitySet::empty()),
            "control groups" => exactly(set(&[Capability::DacReadSearch])),
            _ => kept.contains(thread.permitted | effective),
        };
        ensure!(
            is_right && (inheritable | ambient).is_empty(),
            "{}: {folder:?} has {thread:?}, not {kept:?}",
            work.name()
        );
    }
    ensure!(count > 0, "no thread");
    Ok(())
}

fn bit(capability: Capability) -> CapabilitySet {
    match capability {
        Capability::Bpf => CapabilitySet::BPF,
        Capability::Perfmon => CapabilitySet::PERFMON,
        Capability::SysAdmin => CapabilitySet::SYS_ADMIN,
        Capability::SysPtrace => CapabilitySet::SYS_PTRACE,
        Capability::NetAdmin => CapabilitySet::NET_ADMIN,
        Capability::DacReadSearch => CapabilitySet::DAC_READ_SEARCH,
        Capability::DacOverride => CapabilitySet::DAC_OVERRIDE,
    }
}

/// Waits until the process has its filter, which comes last.
fn until_confined(pid: u32) -> Result<()> {
    let (start, folder) = (Instant::now(), format!("/proc/{pid}"));
    while !Thread::of(Path::new(&folder))?.has_filter {
        ensure!(start.elapsed() < patience(), "it is not confined");
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn stuck(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let mut tool = Tool::watch(place, stage.netns().inode(), &["-v"])?;
    tool.fresh()?;
    check(tool.pid(), Work::Stuck, &[])?;
    // A program that is loaded later reads the queue.
    let accepted = stage.server_leak(Family::Ipv4, 2)?.len();
    let count = stage.never_accepted(Family::Ipv4, 2)?.len();
    tool.until("all of them with their listener", |now| {
        let is_known = |one: &&Socket| one.listener.is_some() || one.accepted == Some(true);
        now.sockets.iter().filter(is_known).count() == count + accepted
    })?;
    check(tool.pid(), Work::Stuck, &[])?;
    let outcome = tool.end()?;
    let said = outcome.stderr;
    ensure!(
        said.contains("kept: CAP_BPF") && said.contains("seccomp holds"),
        "{said}"
    );
    Ok(())
}

fn states() -> Result<()> {
    let stage = Stage::new()?;
    let netns = stage.netns().inode().to_string();
    let words = ["states", "--json", "--interval", "100ms", "--netns", &netns];
    let mut tool = Tool::start(Place::AsIs, &words)?;
    for _ in 0..3 {
        tool.line()?;
    }
    check(tool.pid(), Work::States, &[])?;
    tool.end().map(drop)
}

fn log_on_the_screen(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let tool = LogTool::watch(place, stage.netns().inode(), &[])?;
    check(tool.tool.pid(), Work::Log, &[])?;
    let leaked = stage.server_leak(Family::Ipv4, 2)?.len();
    check(tool.tool.pid(), Work::Log, &[])?;
    let log = tool.end()?;
    ensure!(log.open.len() == leaked, "{log:#?}");
    Ok(())
}

fn hist(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let tool = hist::watch(place, stage.netns().inode(), "--interval 200ms")?;
    check(tool.pid(), Work::Hist, &[])?;
    stage.server_leak(Family::Ipv4, 2)?;
    check(tool.pid(), Work::Hist, &[])?;
    tool.end().map(drop)
}

/// It makes files after its start: in a folder of its own without a capability for that, in another user's with one.
fn log_to_files(owner: Option<u32>) -> Result<()> {
    let mut stage = Stage::new()?;
    let scratch = Scratch::new()?;
    let folder = scratch.file("log");
    fs::create_dir(&folder)?;
    std::os::unix::fs::chown(&folder, owner, owner)?;
    let file = format!("{folder}/log.jsonl");
    let to = match owner {
        None => ["--dir", &folder],
        // Into a folder of somebody else it writes one file only.
        Some(_) => ["-o", &file],
    };
    let tool = LogTool::watch(Place::AsIs, stage.netns().inode(), &to)?;
    let writer = if owner.is_some() { WRITER } else { &[] };
    check(tool.tool.pid(), Work::LogToFiles, writer)?;
    if owner.is_some() {
        fs::remove_file(&file)?;
        let start = Instant::now();
        while !fs::exists(&file)? {
            ensure!(start.elapsed() < patience(), "it is not made again");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    stage.server_leak(Family::Ipv4, 2)?;
    let outcome = tool.tool.end()?;
    let of_server = stage.server.pid().to_string();
    let mut found = false;
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        found |= fs::read_to_string(&path)?.contains(&of_server);
    }
    ensure!(found, "nothing of {of_server}: {outcome:?}");
    Ok(())
}

/// A pipe that takes no more.
fn full_pipe() -> Result<(PipeReader, PipeWriter)> {
    let (reader, mut writer) = std::io::pipe()?;
    let flags = rustix::fs::fcntl_getfl(&writer)?;
    rustix::fs::fcntl_setfl(&writer, flags | rustix::fs::OFlags::NONBLOCK)?;
    for size in [4096, 1] {
        let filling = vec![b'\n'; size];
        while writer.write(&filling).is_ok() {}
    }
    rustix::fs::fcntl_setfl(&writer, flags)?;
    Ok((reader, writer))
}

/// What looks once ends soon: it is held up while it writes.
fn while_it_writes(words: &[&str]) -> Result<()> {
    let (mut reader, writer) = full_pipe()?;
    let mut command = Command::new(binary());
    command.args(words).stdin(Stdio::null()).stdout(writer);
    Place::AsIs.prepare(&mut command);
    let mut child = KilledWhenDropped(command.stderr(Stdio::null()).spawn()?);
    // It has the writing end, too.
    drop(command);
    let pid = child.0.id();
    until_confined(pid)?;
    let work = Work::from_name(words[0]).context("no such command")?;
    check(pid, work, &[])?;
    let mut written = String::new();
    std::io::Read::read_to_string(&mut reader, &mut written)?;
    ensure!(child.0.wait()?.success(), "it failed");
    ensure!(!written.trim().is_empty(), "it wrote nothing");
    Ok(())
}

/// A replay is confined while there is nothing to read yet, and shows what comes then.
fn before_it_reads() -> Result<()> {
    let mut stage = Stage::new()?;
    let log = LogTool::watch(Place::AsIs, stage.netns().inode(), &[])?;
    let leaked = stage.server_leak(Family::Ipv4, 3)?.len();
    let recording = log.end()?.outcome.stdout;
    for view in ["stuck", "log", "hist"] {
        let mut command = Command::new(binary());
        command.args(["replay", "-", view, "--json"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Place::AsIs.prepare(&mut command);
        let mut child = KilledWhenDropped(command.stderr(Stdio::null()).spawn()?);
        let pid = child.0.id();
        until_confined(pid)?;
        check(pid, Work::Replay, &[])?;
        let mut input = child.0.stdin.take().context("no input")?;
        input.write_all(recording.as_bytes())?;
        drop(input);
        let mut output = child.0.stdout.take().context("no output")?;
        let mut shown = String::new();
        std::io::Read::read_to_string(&mut output, &mut shown)?;
        ensure!(child.0.wait()?.success(), "{view} failed: {shown}");
        let is_right = match view {
            "stuck" => {
                shown.contains(&format!("\"may_be\":{leaked}"))
                    || shown.contains(&format!("\"younger\":{leaked}"))
            }
            _ => shown.contains("CLOSE_WAIT"),
        };
        ensure!(is_right, "{view}: {shown}");
    }
    Ok(())
}

fn attempt(work: Work, what: &str) -> Result<Output> {
    attempt_with(work, what, &[])
}

/// The same with these variables in the child's environment.
fn attempt_with(work: Work, what: &str, variables: &[(&str, String)]) -> Result<Output> {
    let mut command = Command::new("/proc/self/exe");
    command.args([WORD, work.name(), what]).stdin(Stdio::null());
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    Place::AsIs.prepare(&mut command);
    Ok(command.output()?)
}

/// The kernel refuses what is not on the list, and allows what is.
fn attempts() -> Result<()> {
    let refused = Errno::NOSYS.raw_os_error();
    for (work, allowed, more) in [
        (Work::Replay, &[][..], [LOOKING, WRITING].concat()),
        (Work::Doctor, &[], [LOOKING, WRITING].concat()),
        (Work::Stuck, LOOKING, WRITING.to_vec()),
        (Work::LogToFiles, &[LOOKING, WRITING].concat(), Vec::new()),
    ] {
        let output = attempt(work, "all")?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{work:?}: {output:?}");
        // Older kernels have no Landlock.
        for held in ["capabilities: Ok(", "no_new_privs: Ok(", "seccomp: Ok("] {
            ensure!(text.contains(held), "{work:?}: not {held}: {text}");
        }
        let answers: HashMap<_, i32> = (text.lines())
            .filter_map(|line| line.rsplit_once(": "))
            .filter_map(|(name, number)| Some((name, number.parse().ok()?)))
            .collect();
        let answer = |name: &&str| answers.get(*name).copied().context((*name).to_owned());
        for name in NEVER.iter().chain(&more) {
            let answer = answer(name)?;
            ensure!(answer == refused, "{work:?} may: {name} ({answer})");
        }
        for name in ALWAYS.iter().chain(allowed) {
            let answer = answer(name)?;
            ensure!(answer != refused, "{work:?} may not: {name}");
        }
    }
    Ok(())
}

/// A panic is told, and an abort is one.
fn ends() -> Result<()> {
    for work in Work::ALL {
        let output = attempt(*work, "panic")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.code() == Some(101) && said.contains("on purpose"),
            "{output:?}"
        );
        let output = attempt(*work, "abort")?;
        ensure!(output.status.signal() == Some(libc::SIGABRT), "{output:?}");
    }
    Ok(())
}
