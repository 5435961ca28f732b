//! The static programs that run in guests.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::arch::Arch;
use crate::{cargo, process, toolchain::Toolchain, workspace::Workspace};

/// The programs of a guest.
#[derive(Debug)]
pub struct Programs {
    /// The guest's init.
    pub init: PathBuf,
    /// `tcptrace` itself.
    pub tool: PathBuf,
    /// The live tests.
    pub tests: PathBuf,
}

/// Builds them. `tests` is a static program to run instead of the live tests.
///
/// They are static because the guest has no libraries, and a little optimised because it is slow. They have their
/// own target folder: with different flags in one folder, cargo would rebuild everything each time.
pub fn build(workspace: &Workspace, arch: Arch, tests: Option<&Path>) -> Result<Programs> {
    let sysroot = match arch.linker() {
        Some(linker) => Some((linker, Toolchain::prepare(workspace)?.rustc)),
        None => None,
    };
    let cargo = |args: &[&str]| -> Result<Vec<(String, PathBuf)>> {
        let mut command = cargo::command(workspace);
        command.args(args);
        if let Some((linker, rustc)) = &sysroot {
            // Only rustup has the standard library for another architecture. Its source is available elsewhere,
            // too, and building it takes half a minute.
            command
                .arg("-Zbuild-std=std,panic_unwind")
                .env("RUSTC", rustc)
                .env("RUSTC_BOOTSTRAP", "1")
                .env(
                    format!(
                        "CARGO_TARGET_{}_LINKER",
                        arch.target().to_uppercase().replace('-', "_")
                    ),
                    linker,
                );
        }
        command
            .args([
                "--target",
                arch.target(),
                "--message-format=json-render-diagnostics",
            ])
            .arg("--target-dir")
            .arg(dir(workspace).join("build"))
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("RUSTFLAGS", "-C target-feature=+crt-static")
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
            .env("CARGO_PROFILE_DEV_SPLIT_DEBUGINFO", "off")
            .env("CARGO_PROFILE_DEV_STRIP", "debuginfo");
        Ok(executables(&process::capture(
            &mut command,
            "build the programs of guests",
        )?))
    };
    let programs = cargo(&[
        "build",
        "--package",
        "tcptrace",
        "--package",
        "xtask",
        "--bin",
        "tcptrace",
        "--bin",
        "vm-init",
    ])?;
    let tests = match tests {
        Some(path) => path.to_owned(),
        None => find(
            &cargo(&[
                "test",
                "--package",
                "tcptrace",
                "--test",
                "live",
                "--no-run",
            ])?,
            "live",
        )?,
    };
    Ok(Programs {
        init: find(&programs, "vm-init")?,
        tool: find(&programs, "tcptrace")?,
        tests,
    })
}

/// The folder for everything about guests, including their consoles.
pub fn dir(workspace: &Workspace) -> PathBuf {
    workspace.root().join("target/vm")
}

fn find(executables: &[(String, PathBuf)], target: &str) -> Result<PathBuf> {
    executables
        .iter()
        .find_map(|(name, path)| (name == target).then(|| path.clone()))
        .with_context(|| format!("cargo built no executable of `{target}`"))
}

/// The executables in cargo's messages, by their targets' names.
fn executables(messages: &str) -> Vec<(String, PathBuf)> {
    #[derive(Deserialize)]
    struct Message {
        target: Target,
        executable: PathBuf,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .map(|message| (message.target.name, message.executable))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{executables, find};

    #[test]
    fn executables_are_found_by_target() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"libc"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"live"},"executable":"/t/live-0123"}
{"reason":"build-finished","success":true}"#;
        let found = executables(messages);
        assert_eq!(
            find(&found, "live").ok(),
            Some(PathBuf::from("/t/live-0123"))
        );
        assert!(find(&found, "libc").is_err());
    }
}
