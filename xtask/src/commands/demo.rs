//! `cargo xtask demo`: shows tcptrace on a server that freezes because its client pool leaks.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;

use crate::{demo, rerun, workspace::Workspace};

/// Show tcptrace on a server that freezes because its client pool leaks, in a minute and a half (needs root, or sudo)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tcptrace to show, instead of a release build of this checkout
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

/// Builds, becomes root if needed, and runs the demo.
pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let given = args.program.as_deref();
    let program = rerun::program(workspace, given)?;
    if let Some(code) = rerun::as_root(&program, given)? {
        return Ok(code);
    }
    demo::tell(&program)
}
