//! `cargo xtask run`: builds tcptrace and runs it as root.

use std::{os::unix::process::CommandExt, process::ExitCode};

use anyhow::{Context, Result};

use crate::{rerun, root, workspace::Workspace};

/// Build tcptrace and run it as root (through sudo when needed)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Arguments of tcptrace
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Replaces this process by tcptrace, so that signals and the exit code are tcptrace's; returns only if that fails.
pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let program = rerun::program(workspace, None)?;
    let mut command = root::command(&program)?;
    let error = command.args(&args.args).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}
