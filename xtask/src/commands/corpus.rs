//! `cargo xtask corpus`: real programs that leak, and what tcptrace says about them.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;

use crate::{
    corpus::{self, Options, case},
    rerun,
    workspace::Workspace,
};

/// Run real programs that leak, or look so, and compare what tcptrace says with the truth (needs root, or sudo)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only cases with one of these words in their names
    #[arg(value_name = "CASE")]
    cases: Vec<String>,
    /// List the cases, and what is missing to run them
    #[arg(long)]
    list: bool,
    /// How many cases run at a time
    #[arg(long, value_name = "N", default_value_t = 6)]
    beside: usize,
    /// Write the tables of docs/diagnosis.md
    #[arg(long)]
    write: bool,
    /// Fail where a runtime is missing
    #[arg(long)]
    all: bool,
    /// How long each is watched once its situation stands, instead of what it says itself
    #[arg(long, value_name = "SECONDS")]
    watch: Option<u64>,
    /// Show what a person sees, with the reasons
    #[arg(long)]
    screens: bool,
    /// The tcptrace to ask, instead of a release build of this checkout
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

/// Builds, becomes root if needed, and runs the cases.
pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let cases = case::chosen(&case::all(workspace.root())?, &args.cases)?;
    if args.list {
        for case in cases {
            let missing = case.missing().join(", ");
            let missing = if missing.is_empty() {
                missing
            } else {
                format!(" (missing: {missing})")
            };
            println!("{:32} {}{missing}", case.name, case.title);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let given = args.program.as_deref();
    let program = rerun::program(workspace, given)?;
    if let Some(code) = rerun::as_root(&program, given)? {
        return Ok(code);
    }
    let options = Options {
        beside: args.beside,
        write: args.write,
        all: args.all,
        watch: args.watch,
        screens: args.screens,
    };
    corpus::run(workspace, &program, cases, &options)
}
