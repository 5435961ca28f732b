//! Shows captions, and runs tcptrace between them.

use std::{
    io::{IsTerminal, Write, stdout},
    path::Path,
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::{interrupt, process::exit_code};

/// Shows a caption, separated from tcptrace's output.
pub fn caption(text: &str) {
    let mut out = stdout().lock();
    // If the reader is gone, tcptrace also ends soon.
    let _ = writeln!(out);
    for line in text.lines() {
        let _ = writeln!(out, "{}", format!("# {line}").trim_end());
    }
    let _ = out.flush();
}

/// Waits if the output is a terminal.
pub fn time_to_read(length: Duration) -> Result<()> {
    if stdout().is_terminal() {
        interrupt::sleep(length)
    } else {
        Ok(())
    }
}

/// Shows the command line, then runs it on this terminal to its end.
pub fn run(program: &Path, arguments: &[&str]) -> Result<()> {
    println!("\n$ sudo tcptrace {}\n", arguments.join(" "));
    let mut child = Command::new(program)
        .args(arguments)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let mut told = false;
    loop {
        if let Some(status) = child.try_wait()? {
            if exit_code(status) != ExitCode::SUCCESS && !interrupt::asked() {
                bail!("tcptrace ended with {status}");
            }
            return Ok(());
        }
        if interrupt::asked() && !told {
            // On a terminal tcptrace has already received the signal; a second one does no harm. It still prints its
            // summary.
            told = true;
            if let Ok(pid) = i32::try_from(child.id()) {
                let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::INT));
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
}
