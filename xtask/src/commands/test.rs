//! `cargo xtask test`: all tests; those that load BPF programs run as root.

use std::{process::ExitCode, time::Instant};

use anyhow::{Result, bail};

use crate::{
    cargo::{self, Package},
    process, root,
    workspace::Workspace,
};

/// The package that only builds for the BPF target and so cannot be tested on the host.
const BPF_PACKAGE: &str = "tcptrace-ebpf";

/// The test target (of package tcptrace) that talks to the kernel and needs root.
const LIVE: &str = "live";

/// Run all tests; the live ones run as root (through sudo when needed)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Arguments for the test programs: part of a test's name, --nocapture, …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Runs every step, also after one has failed, so that one run shows everything.
pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let packages = cargo::packages(workspace)?;
    let steps: [Step<'_>; 3] = [
        ("unit and integration tests", &|| {
            plain(workspace, &packages, &args.args)
        }),
        ("documentation tests", &|| {
            documentation(workspace, &args.args)
        }),
        ("live tests (as root)", &|| {
            live(workspace, &packages, &args.args)
        }),
    ];
    let mut summary = Vec::new();
    let mut failed = false;
    for (name, step) in steps {
        eprintln!("== {name}");
        let start = Instant::now();
        let word = match step() {
            Ok(true) => "ok",
            Ok(false) => "FAILED",
            Err(error) => {
                eprintln!("{error:#}");
                "FAILED"
            }
        };
        failed |= word != "ok";
        summary.push(format!(
            "== {name}: {word} ({:.1} s)",
            start.elapsed().as_secs_f64()
        ));
    }
    eprintln!("{}", summary.join("\n"));
    Ok(ExitCode::from(u8::from(failed)))
}

/// A step's name, and what runs it: `false` if tests failed, an error if they could not run.
type Step<'a> = (&'a str, &'a dyn Fn() -> Result<bool>);

fn plain(workspace: &Workspace, packages: &[Package], args: &[String]) -> Result<bool> {
    let mut command = cargo::command(workspace);
    command
        .args([
            "test",
            "--workspace",
            "--exclude",
            BPF_PACKAGE,
            "--lib",
            "--bins",
        ])
        .args(plain_test_targets(packages).flat_map(|name| ["--test", name]))
        .arg("--")
        .args(args);
    // The tests that are ignored elsewhere.
    if process::is_installed("dpkg") {
        command.arg("--include-ignored");
    }
    Ok(process::status(&mut command, "run the tests")?.success())
}

fn documentation(workspace: &Workspace, args: &[String]) -> Result<bool> {
    let mut command = cargo::command(workspace);
    command
        .args([
            "test",
            "--workspace",
            "--exclude",
            BPF_PACKAGE,
            "--doc",
            "--",
        ])
        .args(args);
    Ok(process::status(&mut command, "run the documentation tests")?.success())
}

fn live(workspace: &Workspace, packages: &[Package], args: &[String]) -> Result<bool> {
    if !test_targets(packages).any(|(package, target)| (package, target) == ("tcptrace", LIVE)) {
        bail!("package tcptrace has no test target `{LIVE}`");
    }
    // Only the finished test program runs as root, so that no file in the target folder belongs to root.
    let args_of_build = ["test", "--package", "tcptrace", "--test", LIVE, "--no-run"];
    let program = cargo::build_executable(workspace, &args_of_build, LIVE)?;
    let mut command = root::command(&program)?;
    command
        .current_dir(workspace.root().join("tcptrace"))
        .args(args);
    Ok(process::status(&mut command, "run the live tests")?.success())
}

fn test_targets(packages: &[Package]) -> impl Iterator<Item = (&str, &str)> {
    packages
        .iter()
        .filter(|package| package.name != BPF_PACKAGE)
        .flat_map(|package| package.targets.iter().map(move |target| (package, target)))
        .filter(|(_, target)| target.kind.iter().any(|kind| kind == "test"))
        .map(|(package, target)| (package.name.as_str(), target.name.as_str()))
}

/// The integration tests that need no root. They are named one by one, because cargo cannot exclude one.
fn plain_test_targets(packages: &[Package]) -> impl Iterator<Item = &str> {
    test_targets(packages)
        .map(|(_, target)| target)
        .filter(|target| *target != LIVE)
}

#[cfg(test)]
mod tests {
    use super::plain_test_targets;
    use crate::cargo::{Package, Target};

    fn package(name: &str, targets: &[(&str, &str)]) -> Package {
        let targets = targets
            .iter()
            .map(|(name, kind)| Target {
                name: (*name).into(),
                kind: vec![(*kind).into()],
            })
            .collect();
        Package {
            name: name.into(),
            targets,
        }
    }

    #[test]
    fn live_tests_and_the_bpf_package_are_left_out() {
        let packages = [
            package(
                "tcptrace",
                &[("tcptrace", "lib"), ("live", "test"), ("command", "test")],
            ),
            package("tcptrace-ebpf", &[("kernel", "test")]),
        ];
        assert_eq!(
            plain_test_targets(&packages).collect::<Vec<_>>(),
            ["command"]
        );
    }
}
