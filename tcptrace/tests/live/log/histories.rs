//! Tests logs against known histories.

use anyhow::{Result, ensure};
use rustix::process::Signal;
use testbed::{Family, Stage};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
        verdict::{self, Ignored},
    },
    log::check::{self, Accepts},
    run::{
        log::{Log, LogTool, READY, doctor},
        tool::Tool,
    },
    truth::{endings, openings, scene::Scene},
};

pub fn add(cases: &mut Cases) {
    cases.add_in(BOTH, "log_openings", |place| {
        openings(place, &[], Accepts::Known)
    });
    cases.add("log_openings::no_btf", without_types);
    cases.add("log_netns::no_btf", namespace_without_types);
    cases.add_in(BOTH, "log_processes", processes);
    cases.add_in(BOTH, "log_endings", |place| {
        run(place, endings::ALL, true).map(drop)
    });
    cases.add("log_caller_that_stops_listening", stops_listening);
    cases.add("log_accept_by_syscall", || {
        by("accept by syscall", &["--accept", "syscall"])
    });
    cases.add("log_accept_by_fexit", || {
        by("accept by fexit", &["--accept", "fexit"])
    });
    cases.add("log_accept_by_listener", || {
        let arguments = ["--accept", "listener"];
        openings(Place::Btf, &arguments, Accepts::Listeners)
    });
}

/// Without type information the kernel side does not report the namespace of a socket. The test identifies its
/// sockets by ports that no other test uses.
fn without_types() -> Result<()> {
    let stage = Stage::new()?;
    let netns = stage.netns().inode();
    stage.netns().set("ipv4/ip_local_port_range", "3000 4900")?;
    let tool = LogTool::start(Place::NoBtf, &["--json"])?;
    let mut scene = Scene::new(stage, Family::Ipv4)?;
    for case in openings::ALL {
        case(&mut scene)?;
    }
    let (_stage, told) = scene.finish()?;
    let log = tool.end()?.lossless()?;
    check::all(&log, netns, &told, Accepts::Perhaps)
}

/// A filter that cannot be applied is not ignored silently.
fn namespace_without_types() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode().to_string();
    let arguments = ["log", "--json", "--netns", &netns];
    let mut tool = Tool::start(Place::NoBtf, &arguments)?;
    if tool.until_said(READY).is_ok() {
        stage.connect(Family::Ipv4, 1)?;
        tool.signal(Signal::INT)?;
    }
    let outcome = tool.wait()?;
    let said = outcome.stderr.contains("namespace") || outcome.stderr.contains("netns");
    ensure!(
        said || !outcome.stdout.is_empty(),
        "neither a line nor a reason: {}",
        outcome.stderr
    );
    Ok(())
}

fn openings(place: Place, arguments: &[&str], accepts: Accepts) -> Result<()> {
    let stage = Stage::new()?;
    let netns = stage.netns().inode();
    let tool = LogTool::watch(place, netns, arguments)?;
    let mut told = Vec::new();
    let mut scene = Scene::new(stage, Family::Ipv4)?;
    for case in openings::ALL {
        case(&mut scene)?;
    }
    let (stage, of_ipv4) = scene.finish()?;
    told.extend(of_ipv4);
    let mut stage = stage;
    for family in [Family::Ipv6, Family::Mapped] {
        let mut scene = Scene::new(stage, family)?;
        openings::ALL[0](&mut scene)?;
        let (back, of_family) = scene.finish()?;
        stage = back;
        told.extend(of_family);
    }
    let log = tool.end()?.lossless()?;
    check::exactly(&log, netns, &told, accepts)
}

/// Tests one way to detect accepts, if the doctor says that it works here.
fn by(finding: &str, arguments: &[&str]) -> Result<()> {
    match doctor(finding)?.as_deref() {
        Some("ok") => openings(Place::Btf, arguments, Accepts::Known),
        other => Err(Ignored::because(format!(
            "the doctor says of {finding}: {}",
            other.unwrap_or("nothing")
        ))),
    }
}

fn processes(place: Place) -> Result<()> {
    let log = run(place, openings::PROCESSES, false)?;
    // The owner has the name from when it connected. The caller has its current name.
    let exec = log.transitions.iter().find(|line| {
        let caller = line.caller.as_ref().map(|caller| &*caller.comm);
        line.to == "FIN_WAIT1" && caller == Some("butterfly")
    });
    let owner = exec.and_then(|line| line.subject.comm.as_deref());
    ensure!(owner == Some("caterpillar"), "{exec:#?}");
    Ok(())
}

/// No packet and no timer ends a listener: the caller is the process that closes it.
fn stops_listening() -> Result<()> {
    let stage = Stage::new()?;
    let tool = LogTool::watch(Place::Btf, stage.netns().inode(), &[])?;
    let (stage, _) = Scene::new(stage, Family::Ipv4)?.finish()?;
    let log = tool.end()?.lossless()?;
    let lines = &log.transitions[..];
    let absent = verdict::missing(2u64.saturating_sub(lines.len() as u64), || {
        format!("{lines:#?}")
    });
    verdict::judge(log.skipped(), absent)?;
    let [begin, end] = lines else {
        anyhow::bail!("not two lines: {lines:#?}");
    };
    for line in [begin, end] {
        let caller = line.caller.as_ref().and_then(|caller| caller.pid);
        ensure!(caller == Some(stage.server.pid()), "{line:#?}");
    }
    Ok(())
}

fn run(place: Place, cases: &[fn(&mut Scene) -> Result<()>], slow: bool) -> Result<Log> {
    let stage = Stage::new()?;
    let netns = stage.netns().inode();
    let tool = LogTool::watch(place, netns, &[])?;
    let mut scene = Scene::new(stage, Family::Ipv4)?;
    let dying = slow.then(|| endings::begin_dying(&mut scene)).transpose()?;
    for case in cases {
        case(&mut scene)?;
    }
    if let Some(dying) = dying {
        endings::end_dying(&mut scene, dying)?;
    }
    let (_stage, told) = scene.finish()?;
    let log = tool.end()?.lossless()?;
    check::exactly(&log, netns, &told, Accepts::Known)?;
    Ok(log)
}
