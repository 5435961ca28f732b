//! Subcommands that need root themselves: the user builds, and root runs them again.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};

use crate::{cargo, process, root, workspace::Workspace};

/// The tcptrace to run: the given one, or a release build of this checkout.
pub fn program(workspace: &Workspace, given: Option<&Path>) -> Result<PathBuf> {
    match given {
        Some(path) => path
            .canonicalize()
            .with_context(|| format!("{} does not exist", path.display())),
        None => cargo::build_executable(
            workspace,
            &[
                "build",
                "--release",
                "--package",
                "tcptrace",
                "--bin",
                "tcptrace",
            ],
            "tcptrace",
        ),
    }
}

/// Runs the same subcommand as root, with the user's build (unless `given`), so that root leaves nothing in the target
/// folder. `None` if this process already is root.
pub fn as_root(program: &Path, given: Option<&Path>) -> Result<Option<ExitCode>> {
    if root::is_root()? {
        return Ok(None);
    }
    let this = env::current_exe().context("cannot find the path of this program")?;
    let mut command = match env::var("NO_COLOR") {
        // sudo drops the environment; this variable is passed on purpose.
        Ok(value) => {
            let mut command = root::command(Path::new("/usr/bin/env"))?;
            command.arg(format!("NO_COLOR={value}")).arg(this);
            command
        }
        Err(_) => root::command(&this)?,
    };
    command.args(env::args_os().skip(1));
    if given.is_none() {
        command.args([OsStr::new("--program"), program.as_os_str()]);
    }
    let status = process::status(&mut command, "run as root")?;
    Ok(Some(process::exit_code(status)))
}
