//! The private folder for downloaded tools, so that nothing of the user's own set-up is changed.

use anyhow::{Context, Result};
use std::{env, fs, path::PathBuf};

/// `$XDG_CACHE_HOME/tcptrace-xtask`, or the same in `~/.cache`; it is there on return.
pub fn dir() -> Result<PathBuf> {
    // The XDG specification says to ignore a relative path.
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute())
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .context("no place for the tools' cache: set HOME or XDG_CACHE_HOME")?;
    let dir = base.join("tcptrace-xtask");
    fs::create_dir_all(&dir).with_context(|| {
        format!(
            "cannot create {}: set XDG_CACHE_HOME to a folder that can be written",
            dir.display()
        )
    })?;
    Ok(dir)
}
