//! Being root, or becoming it.

use std::{env, ffi::OsStr, os::unix::fs::MetadataExt, path::Path, process::Command};

use anyhow::{Context, Result, bail};

/// Whether this process runs as root.
pub fn is_root() -> Result<bool> {
    // A process owns its own folder in /proc: this gives the effective user without an unsafe call.
    let owner = Path::new("/proc/self")
        .metadata()
        .context("cannot find out the user: /proc is not mounted")?
        .uid();
    Ok(owner == 0)
}

/// A command that runs `program` as root: directly, or through sudo.
pub fn command(program: &Path) -> Result<Command> {
    if is_root()? {
        return Ok(Command::new(program));
    }
    if !is_on_path("sudo", env::var_os("PATH").as_deref()) {
        bail!(
            "{} needs root, and sudo is not installed: run the same command as root, or install sudo",
            program.display()
        );
    }
    let mut command = Command::new("sudo");
    // `--` ends sudo's own options.
    command.arg("--").arg(program);
    Ok(command)
}

/// Whether a folder of this path has the program.
pub fn is_on_path(program: &str, path: Option<&OsStr>) -> bool {
    path.is_some_and(|path| env::split_paths(path).any(|dir| dir.join(program).is_file()))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::is_on_path;

    #[test]
    fn looks_in_every_folder_of_the_path() {
        assert!(is_on_path("sh", Some(OsStr::new("/nowhere:/bin"))));
        assert!(!is_on_path("sh", Some(OsStr::new("/nowhere"))));
        assert!(!is_on_path("sh", None));
    }
}
