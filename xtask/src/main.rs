//! `cargo xtask`: see the library for what each subcommand does.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use testbed::part;
use xtask::{
    commands::{bench, corpus, demo, ebpf, run, test, vm},
    workspace::Workspace,
};

/// Tasks for developers of tcptrace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Bench(bench::Args),
    Corpus(corpus::Args),
    Demo(demo::Args),
    Ebpf(ebpf::Args),
    Run(run::Args),
    Test(test::Args),
    Vm(vm::Args),
}

fn main() -> ExitCode {
    // The processes of the demo and of the benchmarks are this program, run again.
    if let Some(code) = part::main(std::env::args_os().skip(1)) {
        return code;
    }
    run().unwrap_or_else(|error| {
        // One line without anyhow's backtrace: the messages say what to do.
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode> {
    let workspace = Workspace::current()?;
    match Cli::parse().command {
        Command::Bench(args) => bench::run(&workspace, &args),
        Command::Corpus(args) => corpus::run(&workspace, &args),
        Command::Demo(args) => demo::run(&workspace, &args),
        Command::Ebpf(args) => ebpf::run(&workspace, &args),
        Command::Run(args) => run::run(&workspace, &args),
        Command::Test(args) => test::run(&workspace, &args),
        Command::Vm(args) => vm::run(&workspace, &args),
    }
}
