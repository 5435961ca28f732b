//! `cargo xtask bench`: measures the cost of tcptrace.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;

use crate::{
    bench::{self, Measurement, Plan},
    rerun,
    workspace::Workspace,
};

/// Measure the cost of tcptrace (needs root, or sudo); a full run updates docs/performance.md
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Measure only these
    #[arg(value_enum)]
    parts: Vec<Measurement>,
    /// Run shorter and less exact measurements; does not update the document
    #[arg(long)]
    quick: bool,
    /// The tcptrace to measure, instead of a release build of this checkout
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

/// Builds, becomes root if needed, and measures.
pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let given = args.program.as_deref();
    let program = rerun::program(workspace, given)?;
    if let Some(code) = rerun::as_root(&program, given)? {
        return Ok(code);
    }
    let plan = Plan::new(args.parts.clone(), args.quick, program);
    bench::run(workspace, &plan)?;
    Ok(ExitCode::SUCCESS)
}
