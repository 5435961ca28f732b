//! The standard library's source, of exactly the compiler's version.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};

use super::{debian, rustc::Rustc};
use crate::{cache, process};

/// How long rustup may take to fetch a toolchain, so that it does not hang on a network that drops everything.
const RUSTUP_LIMIT: Duration = Duration::from_secs(300);

/// The folder `library` of the source: the toolchain's own, or the cache's, filled on first use.
///
/// Debian's package is tried before rustup: it is a tenth of the download of rustup, which fetches a whole toolchain,
/// and apt checks its signature.
pub fn prepare(rustc: &Rustc) -> Result<PathBuf> {
    let own = rustc.sysroot.join("lib/rustlib/src/rust/library");
    if is_library(&own) {
        return Ok(own);
    }
    let cache = cache::dir()?;
    let cached = cache.join(format!("rust-src-{}", rustc.release));
    if is_library(&cached) {
        return Ok(cached);
    }
    eprintln!(
        "fetching the source of Rust {}'s standard library",
        rustc.release
    );
    // Beside its destination, so that it can be moved there at once and is never visible in part.
    let scratch = tempfile::tempdir_in(&cache).context("cannot make a folder in the cache")?;
    let fetched = debian::fetch(&rustc.release, scratch.path()).or_else(|debian| {
        from_rustup(&rustc.release, scratch.path()).map_err(|rustup| {
            anyhow!(
                "cannot fetch the source of Rust {}'s standard library, which the BPF build needs: run \
                 `rustup component add rust-src`\n- from Debian: {debian:#}\n- from rustup: {rustup:#}",
                rustc.release
            )
        })
    })?;
    // Another run may have been faster: its copy is the same.
    match fs::rename(&fetched, &cached) {
        Err(_) if is_library(&cached) => Ok(cached),
        result => result
            .with_context(|| format!("cannot move the source to {}", cached.display()))
            .map(|()| cached),
    }
}

/// `-Zbuild-std` reads both.
fn is_library(dir: &Path) -> bool {
    dir.join("core/src/lib.rs").is_file() && dir.join("Cargo.lock").is_file()
}

/// Makes rustup fetch the source into a separate home, so that the user's toolchains do not change.
fn from_rustup(release: &str, scratch: &Path) -> Result<PathBuf> {
    let home = scratch.join("rustup");
    let mut command = Command::new("rustup");
    command
        .args(["toolchain", "install", release, "--no-self-update"])
        .args(["--profile", "minimal", "--component", "rust-src"])
        .env("RUSTUP_HOME", &home)
        .env_remove("RUSTUP_TOOLCHAIN");
    process::run_within(&mut command, RUSTUP_LIMIT, "let rustup fetch the source")?;
    fs::read_dir(home.join("toolchains"))
        .context("rustup installed no toolchain")?
        .filter_map(|entry| Some(entry.ok()?.path().join("lib/rustlib/src/rust/library")))
        .find(|library| is_library(library))
        .context("rustup's toolchain has no source")
}
