//! Confirms histories by another witness than the tool: the text that the kernel itself writes for its tracepoint.

use std::{
    fs::{create_dir, read_to_string, remove_dir, write},
    ops::RangeInclusive,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context, Result, ensure};
use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    thread::UnshareFlags,
};
use testbed::{Family, History, Stage};

use crate::{
    harness::{case::Cases, tolerance::within, verdict::Ignored},
    truth::{endings, openings, scene::Scene},
};

pub fn add(cases: &mut Cases) {
    cases.add("workload_truth::histories", histories);
}

const TRACEFS: &str = "/sys/kernel/tracing";

/// A separate trace buffer of the kernel. It is removed when this is dropped.
pub struct Witness(PathBuf);

impl Witness {
    /// Sees sockets with these ports. No other test may use them: the tracepoint does not distinguish namespaces.
    ///
    /// Must be called and used in a separate thread: it moves the thread to its own mount namespace.
    pub fn new(ports: &RangeInclusive<u16>) -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: a new mount namespace affects neither memory nor descriptors. The thread's root stays the same.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) }?;
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private)?;
        if !PathBuf::from(TRACEFS).join("events").exists() {
            let flags = MountFlags::empty();
            mount(c"tracefs", TRACEFS, c"tracefs", flags, None)?;
        }
        let name = format!("tcptrace-live-{}-{number}", std::process::id());
        let path = PathBuf::from(TRACEFS).join("instances").join(name);
        create_dir(&path).context("no buffer")?;
        let witness = Self(path);
        write(witness.0.join("trace_clock"), "mono")?;
        let event = witness.0.join("events/sock/inet_sock_set_state");
        // No other sockets of this machine, which may have many.
        let (first, last) = (ports.start(), ports.end());
        let of = |port| format!("{port} >= {first} && {port} <= {last}");
        write(
            event.join("filter"),
            format!("({}) || ({})", of("sport"), of("dport")),
        )?;
        write(event.join("enable"), "1")?;
        Ok(witness)
    }

    /// The transitions that it has seen, in the order of time.
    pub fn lines(&self) -> Result<Vec<TraceLine>> {
        let text = read_to_string(self.0.join("trace"))?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| parse(line).with_context(|| format!("cannot read {line}")))
            .collect()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // No test depends on the removal.
        let _ = remove_dir(&self.0);
    }
}

/// A transition, as the tracepoint writes it.
#[derive(Debug)]
pub struct TraceLine {
    /// Rounded to a microsecond.
    pub monotonic_ns: u64,
    /// Local and remote.
    pub ports: (u16, u16),
    pub from: String,
    pub to: String,
}

fn parse(line: &str) -> Option<TraceLine> {
    let (head, words) = line.split_once(": inet_sock_set_state: ")?;
    let (seconds, micros) = head.rsplit(' ').next()?.split_once('.')?;
    let value = |name: &str| {
        let mut words = words.split(' ');
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    let state = |name| Some(value(name)?.trim_start_matches("TCP_").to_owned());
    Some(TraceLine {
        monotonic_ns: seconds.parse::<u64>().ok()? * 1_000_000_000
            + micros.parse::<u64>().ok()? * 1000,
        ports: (value("sport")?.parse().ok()?, value("dport")?.parse().ok()?),
        from: state("oldstate")?,
        to: state("newstate")?,
    })
}

fn histories() -> Result<()> {
    // A separate thread, because it changes its mounts.
    let thread = std::thread::spawn(|| -> Result<()> {
        let witness = Witness::new(&(1100..=2900)).map_err(Ignored::because)?;
        let stage = Stage::new()?;
        stage.netns().set("ipv4/ip_local_port_range", "1100 2900")?;
        let mut scene = Scene::new(stage, Family::Ipv4)?;
        let dying = endings::begin_dying(&mut scene)?;
        let all = [openings::ALL, openings::PROCESSES, endings::ALL];
        for case in all.into_iter().flatten() {
            case(&mut scene)?;
        }
        endings::end_dying(&mut scene, dying)?;
        let (_, told) = scene.finish()?;
        let lines = witness.lines()?;
        for history in &told {
            agrees(history, &lines).with_context(|| history.case.clone())?;
        }
        ensure!(told.len() > 40, "only {} histories", told.len());
        Ok(())
    });
    thread
        .join()
        .unwrap_or_else(|_| anyhow::bail!("it panicked"))
}

/// Checks that the kernel writes the same, except for a first step without a port, which it does not distinguish
/// from others.
fn agrees(history: &History, lines: &[TraceLine]) -> Result<()> {
    let states = history.states();
    let mut expected = Vec::new();
    for (pair, step) in states.windows(2).zip(&history.steps) {
        if !step.portless {
            expected.push((pair[0], pair[1], step));
        }
    }
    let begin_ns = history.steps[0].span.before_ns;
    let is_its = |line: &&TraceLine| {
        let copied = line.from == "LISTEN" && line.to == "SYN_RECV";
        // A socket that is connected again still shows its old port.
        let portless = line.from == "CLOSE" && history.steps.iter().any(|step| step.portless);
        let its_ports = |step: &testbed::Step| {
            line.ports == (step.local.port(), step.remote.map_or(0, |r| r.port()))
        };
        let later = line.monotonic_ns + 1000 >= begin_ns;
        let earlier = line.monotonic_ns <= history.end_ns() + 1000;
        // A close after a shutdown may report the same state again, which is no transition.
        !copied
            && !portless
            && line.from != line.to
            && later
            && earlier
            && history.steps.iter().any(its_ports)
    };
    let found: Vec<_> = lines.iter().filter(is_its).collect();
    let moves: Vec<_> = found.iter().map(|line| (&*line.from, &*line.to)).collect();
    let expected_moves: Vec<_> = expected.iter().map(|(from, to, _)| (*from, *to)).collect();
    ensure!(moves == expected_moves, "{found:#?}\nnot\n{expected:#?}");
    for (line, (_, _, step)) in found.iter().zip(&expected) {
        within(line.monotonic_ns, step.span).with_context(|| format!("{line:#?}\n{step:#?}"))?;
    }
    Ok(())
}
