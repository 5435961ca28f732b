//! Compiling the kernel side.
//!
//! Three things keep the bytes the same on every machine: one compiler version and one locked set of
//! dependencies; every path that depends on the machine remapped; and the standard library's source inside the
//! sysroot, so that cargo hashes no absolute path of it.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{PACKAGE, TARGET, byte_loops, flags, strip};
use crate::{cargo, process, toolchain::Toolchain, workspace::Workspace};

/// The workspace's profile for the build, which is also the name of cargo's output folder.
const PROFILE: &str = "bpf";
/// Settings in the caller's environment that would change the build.
const OVERRIDES: [&str; 4] = [
    "RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_INCREMENTAL",
];

/// Builds the kernel side of `workspace`. Returns where each object is committed and its bytes, stripped to what the
/// kernel needs.
pub fn objects(workspace: &Workspace) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut command = command(workspace, "build")?;
    process::run(&mut command, "build the BPF objects")?;
    let folder = workspace.bpf_target().join(TARGET).join(PROFILE);
    let objects = workspace.bpf_objects().into_iter();
    objects
        .map(|(binary, committed)| Ok((committed, stripped(&folder.join(binary))?)))
        .collect()
}

fn stripped(path: &Path) -> Result<Vec<u8>> {
    let full = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    byte_loops::refuse(&full)?;
    strip::strip_debug(&full).with_context(|| format!("cannot strip {}", path.display()))
}

/// Runs clippy on the kernel side, its warnings as errors.
pub fn clippy(workspace: &Workspace) -> Result<()> {
    let mut command = command(workspace, "clippy")?;
    command.args(["--", "-Dwarnings"]);
    process::run(&mut command, "run clippy on the kernel side")
}

/// A cargo command for the BPF target.
fn command(workspace: &Workspace, subcommand: &str) -> Result<Command> {
    let toolchain = Toolchain::prepare(workspace)?;
    fetch(workspace)?;
    let mut sysroots = vec![toolchain.real_sysroot.clone(), toolchain.sysroot.clone()];
    // Cargo calls the compiler with relative paths for everything in the workspace, which includes the sysroot.
    sysroots.extend(
        toolchain
            .sysroot
            .strip_prefix(workspace.root())
            .map(Path::to_path_buf),
    );
    let flags = flags::encoded(&flags::Paths {
        workspace: workspace.root().into(),
        registries: registries()?,
        sysroots,
        linker: toolchain.linker.clone(),
    });
    let mut command = cargo::command(workspace);
    command
        .args([subcommand, "--profile", PROFILE, "--locked"])
        .arg("-Zbuild-std=core")
        .args(["--target", TARGET, "--package", PACKAGE, "--target-dir"])
        .arg(workspace.bpf_target())
        .env("CARGO_ENCODED_RUSTFLAGS", flags)
        .env("RUSTC", &toolchain.rustc)
        // Clippy replaces the compiler and reads its sysroot from this variable.
        .env("SYSROOT", &toolchain.sysroot)
        // Allows `-Zbuild-std` with a stable compiler.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("LD_LIBRARY_PATH", library_path(&toolchain)?);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if OVERRIDES.contains(&&*text)
            || text.starts_with("CARGO_PROFILE_")
            || text.starts_with("CARGO_BUILD_")
        {
            command.env_remove(&name);
        }
    }
    Ok(command)
}

/// Downloads the dependencies, so that their folders exist and can be remapped.
fn fetch(workspace: &Workspace) -> Result<()> {
    let mut command = cargo::command(workspace);
    command.args(["fetch", "--locked", "--quiet"]);
    process::run(&mut command, "download the dependencies")
}

/// The folders of unpacked dependencies. Their names contain a hash of the registry's address, and a mirror has another
/// address than crates.io, so each of them is remapped.
fn registries() -> Result<Vec<PathBuf>> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .context("cannot find cargo's home: set CARGO_HOME")?;
    let sources = home.join("registry/src");
    let mut folders = fs::read_dir(&sources)
        .and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .with_context(|| format!("cannot list {}", sources.display()))?;
    folders.sort();
    Ok(folders)
}

/// The path on which bpf-linker finds the compiler's LLVM.
fn library_path(toolchain: &Toolchain) -> Result<OsString> {
    let old = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let folders = std::iter::once(toolchain.real_sysroot.join("lib"))
        .chain(env::split_paths(&old).filter(|path| !path.as_os_str().is_empty()));
    env::join_paths(folders).context("the Rust toolchain's path has a colon: install it elsewhere")
}
