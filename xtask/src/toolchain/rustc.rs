//! The compiler in use.

use std::{env, ffi::OsString, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};

use crate::{process, workspace::Workspace};

/// The compiler that cargo uses in this workspace.
#[derive(Debug)]
pub struct Rustc {
    /// Its version, as `1.95.0`.
    pub release: String,
    /// The machine it runs on, as `x86_64-unknown-linux-gnu`.
    pub host: String,
    /// The folder it is installed in.
    pub sysroot: PathBuf,
}

impl Rustc {
    /// The compiler, after a check that it is the version in `rust-toolchain.toml`: another version makes another BPF
    /// object from the same source.
    pub fn pinned(workspace: &Workspace) -> Result<Self> {
        let verbose = capture(workspace, &["--version", "--verbose"])?;
        let field = |name| {
            field(&verbose, name)
                .with_context(|| format!("the output of `rustc -vV` has no {name}"))
        };
        let rustc = Self {
            release: field("release")?,
            host: field("host")?,
            sysroot: capture(workspace, &["--print", "sysroot"])?.trim().into(),
        };
        let file = workspace.root().join("rust-toolchain.toml");
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let wanted =
            channel(&text).with_context(|| format!("{} names no channel", file.display()))?;
        if rustc.release != wanted {
            bail!(
                "the BPF object is built with Rust {wanted} only, and this is {}: install it with \
                 `rustup toolchain install {wanted}` and use cargo through rustup",
                rustc.release
            );
        }
        Ok(rustc)
    }

    /// The compiler's own program, behind any rustup proxy.
    pub fn program(&self) -> PathBuf {
        self.sysroot.join("bin/rustc")
    }
}

fn capture(workspace: &Workspace, args: &[&str]) -> Result<String> {
    let program = env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let mut command = Command::new(program);
    command.args(args).current_dir(workspace.root());
    process::capture(&mut command, "ask rustc about itself")
}

fn field(verbose: &str, name: &str) -> Option<String> {
    verbose
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .map(str::to_owned)
}

fn channel(toolchain_file: &str) -> Option<&str> {
    toolchain_file.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "channel").then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::{channel, field};

    #[test]
    fn reads_what_rustc_says() {
        let verbose = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\n";
        assert_eq!(field(verbose, "release").as_deref(), Some("1.95.0"));
        assert_eq!(
            field(verbose, "host").as_deref(),
            Some("x86_64-unknown-linux-gnu")
        );
        assert_eq!(field(verbose, "commit-hash"), None);
    }

    #[test]
    fn reads_the_pinned_channel() {
        assert_eq!(
            channel("[toolchain]\nchannel = \"1.95.0\"\nprofile = \"minimal\"\n"),
            Some("1.95.0")
        );
        assert_eq!(channel("[toolchain]\n"), None);
    }
}
