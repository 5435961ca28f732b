//! The program that is loaded when the kernel skips another one, long after the start.

use std::{fs, process::ExitCode};

use anyhow::{Result, ensure};
use tcptrace::{
    model::{
        request::{AcceptChoice, HookChoice, WalkChoice},
        sandbox::{Needs, Work},
    },
    source::{
        machine::sandbox::confine,
        track::{KernelSide, TrackOptions},
    },
};
use tcptrace_common::{HistSettings, KernelFilter, TcpState, TrackSettings};

use super::attempt;
use crate::harness::case::Cases;

/// What to do, for the child.
pub const WHAT: &str = "second program";

pub fn add(cases: &mut Cases) {
    cases
        .add("confined_attaches_a_second_program", second_program)
        .here();
}

fn second_program() -> Result<()> {
    let output = attempt(Work::Log, WHAT)?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success() && text.contains("one more"),
        "{output:?}"
    );
    Ok(())
}

/// The programs that this process has open.
fn programs() -> usize {
    let entries = fs::read_dir("/proc/self/fdinfo").into_iter().flatten();
    let texts = entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    texts.filter(|text| text.contains("prog_tag:")).count()
}

/// Attaches as a log does, gives up what a log gives up, and attaches the second program then.
pub fn child() -> Result<ExitCode> {
    let mut side = KernelSide::attach(&TrackOptions {
        hook: HookChoice::Btf,
        accept: AcceptChoice::Auto,
        walk: WalkChoice::Auto,
        filter: KernelFilter::default(),
        owner_filter: TrackSettings::default(),
        hist: HistSettings::default(),
        max_keys: 0,
        pids: Vec::new(),
        children: false,
        cgroups: Vec::new(),
        name_cgroups: false,
        buffer: 1 << 20,
        max_sockets: Some(1024),
        state: TcpState::CloseWait,
        messages: false,
    })?;
    side.begin()?;
    let held = confine(&Needs::of(Work::Log));
    ensure!(held.is_whole(), "{held:?}");
    let before = programs();
    side.attach_second_program();
    println!(
        "{}",
        match programs() - before {
            0 => "none",
            _ => "one more",
        }
    );
    Ok(ExitCode::SUCCESS)
}
