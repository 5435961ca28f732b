//! `cargo xtask`: see the library for what each subcommand does.

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use xtask::{
    commands::{ebpf, run, test, vm},
    workspace::Workspace,
};

/// What a developer of tcptrace runs.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Ebpf(ebpf::Args),
    Run(run::Args),
    Test(test::Args),
    Vm(vm::Args),
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        // One line, not anyhow's backtrace: the messages say what to do.
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode> {
    let workspace = Workspace::current()?;
    match Cli::parse().command {
        Command::Ebpf(args) => ebpf::run(&workspace, &args),
        Command::Run(args) => run::run(&workspace, &args),
        Command::Test(args) => test::run(&workspace, &args),
        Command::Vm(args) => vm::run(&workspace, &args),
    }
}
