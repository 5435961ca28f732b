//! The private folder for downloaded tools, so that the user's own set-up does not change.

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result};

/// `$XDG_CACHE_HOME/tcptrace-xtask`, or the same in `~/.cache`; creates it if necessary.
pub fn dir() -> Result<PathBuf> {
    // The XDG specification says to ignore a relative path.
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute())
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .context("no folder for the tools' cache: set HOME or XDG_CACHE_HOME")?;
    let dir = base.join("tcptrace-xtask");
    fs::create_dir_all(&dir).with_context(|| {
        format!(
            "cannot create {}: set XDG_CACHE_HOME to a writable folder",
            dir.display()
        )
    })?;
    Ok(dir)
}
