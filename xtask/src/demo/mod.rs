//! The demo: processes that leak sockets, and the output of tcptrace about them.
//!
//! Everything happens in a separate network namespace and always ends with this process: the kernel kills the parts
//! with it, and removes a namespace without processes.

mod captions;
mod cast;
mod show;

use std::{
    io::{IsTerminal as _, stdout},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use anyhow::Result;
use cast::Cast;

use crate::interrupt;

/// Exit code of a program that was ended by Ctrl-C, like in a shell.
const INTERRUPTED: u8 = 130;

/// Runs the demo; ends early, but cleanly, on Ctrl-C or SIGTERM.
pub fn tell(program: &Path) -> Result<ExitCode> {
    interrupt::watch();
    let told = story(program);
    if interrupt::asked() {
        println!("\n{}", captions::INTERRUPTED);
        return Ok(ExitCode::from(INTERRUPTED));
    }
    told?;
    show::caption(captions::END);
    Ok(ExitCode::SUCCESS)
}

fn story(program: &Path) -> Result<()> {
    show::caption(captions::BEGIN);
    let mut cast = Cast::new()?;
    cast.come_before()?;
    // Longer than the threshold, so that the first look finds them stuck.
    interrupt::sleep(Duration::from_millis(2200))?;

    show::caption(captions::ONE_LOOK);
    let netns = cast.netns().to_string();
    let stuck = ["--older-than", "2s", "--netns", &netns];
    show::run(program, &[&stuck[..], &["--once", "--limit", "5"]].concat())?;
    show::caption(captions::ONE_LOOK_SAID);
    show::time_to_read(Duration::from_secs(8))?;

    show::caption(captions::LIVE);
    show::time_to_read(Duration::from_secs(2))?;
    cast.come_meanwhile()?;
    // Into a pipe, each look would be below the one before.
    let interval = if stdout().is_terminal() { "2s" } else { "63s" };
    let live = ["--interval", interval, "--duration", "64s", "--limit", "5"];
    show::run(program, &[&stuck[..], &live].concat())?;
    interrupt::check()?;
    cast.finish()?;
    show::caption(captions::LIVE_SAID);
    show::time_to_read(Duration::from_secs(5))?;

    show::caption(captions::EXPLAIN);
    show::run(program, &[&stuck[..], &["--once", "--explain=1"]].concat())
}
