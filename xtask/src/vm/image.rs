//! A guest's initramfs.

use super::{
    cpio::Archive,
    job::{JOB, Job, MODULES, PROGRAMS},
    programs::Programs,
    store::Boot,
};
use anyhow::{Context, Result};
use std::{
    fs::{self, File},
    io::BufWriter,
    path::Path,
};

/// Folders that programs expect, and that init mounts on.
const DIRECTORIES: [&str; 10] = [
    "/dev", "/etc", "/proc", "/root", "/run", "/sys", "/tmp", "/var", PROGRAMS, MODULES,
];

/// The path in the guest of the program of this name.
pub fn program(name: &str) -> String {
    format!("{PROGRAMS}/{name}")
}

/// Writes the initramfs for `job` to `to`. It is not compressed: unpacking costs an emulated CPU more than reading.
pub fn write(to: &Path, boot: &Boot, programs: &Programs, job: &Job) -> Result<()> {
    let file = File::create(to).with_context(|| format!("cannot write {}", to.display()))?;
    let mut archive = Archive::new(BufWriter::new(file));
    for directory in DIRECTORIES {
        archive.directory(directory)?;
    }
    // The kernel opens it for init, before there is a devtmpfs.
    archive.device("/dev/console", 5, 1)?;
    archive.file(JOB, &serde_json::to_vec(job)?)?;
    archive.file("/init", &read(&programs.init)?)?;
    archive.file(&program("tcptrace"), &read(&programs.tool)?)?;
    archive.file(&program("live"), &read(&programs.tests)?)?;
    for module in boot.modules()? {
        let name = module
            .file_name()
            .context("a module without a name")?
            .to_string_lossy();
        archive.file(&format!("{MODULES}/{name}"), &read(&module)?)?;
    }
    archive
        .finish()
        .with_context(|| format!("cannot write {}", to.display()))?;
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
