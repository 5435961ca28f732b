//! Calling cargo, and reading its messages.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{process, workspace::Workspace};

/// A cargo command in `workspace`: the same cargo that started this program.
pub fn command(workspace: &Workspace) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace.root());
    command
}

/// A package of the workspace, as `cargo metadata` reports it.
#[derive(Debug, Deserialize)]
pub struct Package {
    /// The package's name.
    pub name: String,
    /// What it builds.
    pub targets: Vec<Target>,
}

/// One thing that a package builds.
#[derive(Debug, Deserialize)]
pub struct Target {
    /// The target's name.
    pub name: String,
    /// `lib`, `bin`, `test`, …
    pub kind: Vec<String>,
}

/// The packages of the workspace.
pub fn packages(workspace: &Workspace) -> Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let mut command = command(workspace);
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let text = process::capture(&mut command, "list the packages of the workspace")?;
    let metadata: Metadata =
        serde_json::from_str(&text).context("cannot read the output of cargo metadata")?;
    Ok(metadata.packages)
}

/// Runs a cargo command that builds target `target` and returns the path of its executable. `args` start with the
/// subcommand.
pub fn build_executable(workspace: &Workspace, args: &[&str], target: &str) -> Result<PathBuf> {
    let mut command = command(workspace);
    command
        .args(args)
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped());
    let doing = format!("cargo {}", args.join(" "));
    let messages = process::capture(&mut command, &doing)?;
    executable(&messages, target)
        .with_context(|| format!("`{doing}` built no executable `{target}`"))
}

/// The executable of `target` in cargo's messages; a test's message comes with those of the programs it needs.
fn executable(messages: &str, target: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        target: Target,
        executable: Option<PathBuf>,
    }
    messages
        .lines()
        // Other lines are messages without a target, or what build scripts print.
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.target.name == target)
        .find_map(|message| message.executable)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::executable;

    #[test]
    fn finds_the_executable_of_one_target() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"live","kind":["lib"]},"executable":null}
not json
{"reason":"compiler-artifact","target":{"name":"tcptrace","kind":["bin"]},"executable":"/t/tcptrace"}
{"reason":"compiler-artifact","target":{"name":"live","kind":["test"]},"executable":"/t/live-0"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(
            executable(messages, "live"),
            Some(PathBuf::from("/t/live-0"))
        );
        assert_eq!(executable(messages, "other"), None);
    }
}
