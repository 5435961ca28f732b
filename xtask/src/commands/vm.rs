//! `cargo xtask vm`: runs the live tests that depend on the kernel on other kernels.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    process,
    vm::{
        arch::Arch,
        kernels::{KERNELS, Kernel},
        matrix::Matrix,
        outcome::verdict::{End, Verdict},
        table::Table,
    },
    workspace::Workspace,
};

/// Run the live tests that depend on the kernel on other kernels, emulated (needs no root)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kernels to boot: 5.10, 6.1, … (default: all of the matrix)
    #[arg(long = "kernel", value_name = "SERIES", value_delimiter = ',', num_args = 1.., value_parser = Kernel::find)]
    kernels: Vec<&'static Kernel>,
    /// Processor architecture of the guests
    #[arg(long, value_enum, default_value_t = Arch::Amd64)]
    arch: Arch,
    /// Guests that run at the same time; a guest sleeps for a third of its time
    #[arg(long, default_value_t = one_more_than_cores(), value_parser = clap::value_parser!(u8).range(1..))]
    jobs: u8,
    /// Time limit for each guest, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 2400)]
    timeout: u64,
    /// Look for newer packages than those in the cache
    #[arg(long)]
    refresh: bool,
    /// Run the live tests that do not depend on the kernel, too
    #[arg(long)]
    all_tests: bool,
    /// A static program to run instead of the live tests
    #[arg(long, value_name = "PATH")]
    test_program: Option<PathBuf>,
    /// Arguments for the test program: part of a test's name, --skip, …
    #[arg(last = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Runs the matrix and prints its table. Fails unless every kernel ran tests and all went well.
pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let start = Instant::now();
    check_tools(args.arch)?;
    let matrix = Matrix {
        kernels: if args.kernels.is_empty() {
            KERNELS.iter().collect()
        } else {
            args.kernels.clone()
        },
        arch: args.arch,
        jobs: args.jobs.into(),
        limit: Duration::from_secs(args.timeout),
        refresh: args.refresh,
        tests: args.test_program.as_deref(),
        all_tests: args.all_tests,
        arguments: &args.args,
    };
    let verdicts = matrix.run(workspace)?;
    println!("\n{}", table(&verdicts));
    for verdict in &verdicts {
        for note in verdict.notes() {
            println!("{}: {note}", verdict.series);
        }
    }
    for verdict in &verdicts {
        if let Some(details) = verdict.details() {
            println!(
                "==== {} {} ({})\n{details}\n",
                verdict.series,
                verdict.word(),
                matrix.console(workspace, verdict.series).display()
            );
        }
    }
    println!("total: {:.1} s", start.elapsed().as_secs_f64());
    let ok = verdicts.iter().all(|verdict| verdict.end == End::Ok);
    Ok(ExitCode::from(u8::from(!ok)))
}

fn one_more_than_cores() -> u8 {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    u8::try_from(cores + 1).unwrap_or(u8::MAX)
}

/// Checked first, because building and fetching take long.
fn check_tools(arch: Arch) -> Result<()> {
    for (program, package) in arch.tools() {
        if !process::is_installed(program) {
            bail!(
                "{program} is missing: install it, on Debian with `apt-get install --no-install-recommends {package}`"
            );
        }
    }
    Ok(())
}

fn table(verdicts: &[Verdict]) -> String {
    let cells = |cell: &dyn Fn(&Verdict) -> String| verdicts.iter().map(cell).collect();
    let count = |count: usize| count.to_string();
    let mut table = Table::new(cells(&|verdict| verdict.series.into()));
    let tests: BTreeSet<_> = verdicts.iter().flat_map(Verdict::tests).collect();
    for test in tests {
        table.row(test, cells(&|verdict| verdict.cell(test).into()));
    }
    table.row("(passed)", cells(&|verdict| count(verdict.passed())));
    table.row("(ignored)", cells(&|verdict| count(verdict.ignored())));
    table.row("(repeated)", cells(&|verdict| count(verdict.repeated())));
    let left = cells(&|verdict| count(verdict.left_to_host()));
    table.row("(left to the host)", left);
    table.row("(guest)", cells(&|verdict| verdict.word().into()));
    table.row(
        "(seconds)",
        cells(&|verdict| format!("{:.1}", verdict.took.as_secs_f64())),
    );
    table.text()
}
