//! Keeps what guests need of a kernel in the cache: its image and a few modules.
//!
//! apt checks the packages against Debian's signed lists. Checksums are made right after that, and the kept files
//! are checked against them before each use.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::{
    arch::Arch,
    kernels::{Kernel, Suites},
};
use crate::{apt, cache, process};

/// Modules that the tests need, each after the modules that it needs itself. In some kernels some of them are built
/// in or do not exist (MPTCP came after 5.10).
const MODULES: [&str; 4] = ["inet_diag", "tcp_diag", "mptcp_diag", "veth"];

const SUMS: &str = "SHA256SUMS";
/// Names the packages, for a reader.
const ORIGIN: &str = "origin";
const IMAGE: &str = "vmlinuz";

/// A kernel that is ready to boot.
#[derive(Clone, Debug)]
pub struct Boot {
    dir: PathBuf,
}

impl Boot {
    /// The kernel's image.
    pub fn image(&self) -> PathBuf {
        self.dir.join(IMAGE)
    }

    /// The modules, in the order to load them in.
    pub fn modules(&self) -> Result<Vec<PathBuf>> {
        let mut modules: Vec<_> = files(&self.dir)?
            .into_iter()
            .filter(|path| module_name(path).is_some())
            .collect();
        modules.sort();
        Ok(modules)
    }

    /// The packages that it comes from.
    pub fn origin(&self) -> Result<String> {
        let path = self.dir.join(ORIGIN);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

/// The kernel from the cache, or from Debian if the cache lacks it or has it damaged. `refresh` looks for a newer one.
pub fn prepare(kernel: &Kernel, arch: Arch, suites: &mut Suites, refresh: bool) -> Result<Boot> {
    let kernels = cache::dir()?.join("kernels");
    let boot = Boot {
        dir: kernels.join(format!("{}-{}", kernel.series, arch.debian())),
    };
    if !refresh && is_whole(&boot.dir) {
        return Ok(boot);
    }
    fs::create_dir_all(&kernels).with_context(|| format!("cannot create {}", kernels.display()))?;
    // Made beside its final folder and then moved there, so that the final folder is always complete.
    let scratch = tempfile::tempdir_in(&kernels).context("cannot create a folder for packages")?;
    let mut origin = String::new();
    let files = scratch.path().join("files");
    kernel.fetch(suites, arch, |lists, packages| {
        let mut debs = Vec::new();
        origin.clear();
        for package in packages {
            let (name, version) = (&package.name, &package.version);
            eprintln!("{}: fetching {name} {version}", kernel.series);
            debs.push(lists.download(package, scratch.path())?);
            origin.push_str(&format!("{name} {version}\n"));
        }
        // Only when all of them are there: no package of another suite may be among them.
        debs.iter().try_for_each(|deb| apt::unpack(deb, &files))
    })?;
    let made = scratch.path().join("made");
    collect(&files, &made)
        .with_context(|| format!("the packages of {} are not as expected", kernel.series))?;
    fs::write(made.join(ORIGIN), origin)?;
    write_sums(&made)?;
    if boot.dir.exists() {
        fs::remove_dir_all(&boot.dir)
            .with_context(|| format!("cannot replace {}", boot.dir.display()))?;
    }
    fs::rename(&made, &boot.dir).with_context(|| format!("cannot write {}", boot.dir.display()))?;
    Ok(boot)
}

/// Copies what a guest needs from unpacked packages.
fn collect(unpacked: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    let all = files(unpacked)?;
    let image = all
        .iter()
        .find(|path| name(path).starts_with(IMAGE))
        .context("there is no kernel image")?;
    fs::copy(image, to.join(IMAGE))?;
    for (order, module) in MODULES.iter().enumerate() {
        if let Some(path) = all.iter().find(|path| module_name(path) == Some(module)) {
            fs::copy(path, to.join(format!("{order:02}-{}", name(path))))?;
        }
    }
    Ok(())
}

/// `inet_diag` for `inet_diag.ko` and `inet_diag.ko.xz`.
fn module_name(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    name.strip_suffix(".ko.xz")
        .or_else(|| name.strip_suffix(".ko"))
}

fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

/// All plain files below `dir`.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                dirs.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

fn write_sums(dir: &Path) -> Result<()> {
    let names: Vec<_> = files(dir)?
        .iter()
        .map(|path| name(path).to_owned())
        .collect();
    let mut command = Command::new("sha256sum");
    command.current_dir(dir).arg("--").args(names);
    let sums = process::capture(&mut command, "make checksums of a kernel's files")?;
    if sums.is_empty() {
        bail!("{} is empty", dir.display());
    }
    fs::write(dir.join(SUMS), sums).with_context(|| format!("cannot write in {}", dir.display()))
}

fn is_whole(dir: &Path) -> bool {
    let mut command = Command::new("sha256sum");
    command
        .args(["--check", "--strict", "--status", SUMS])
        .stderr(Stdio::null());
    dir.join(SUMS).is_file()
        && command
            .current_dir(dir)
            .status()
            .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Boot, collect, is_whole, write_sums};

    #[test]
    fn takes_image_and_modules_in_loading_order() {
        let dir = tempfile::tempdir().expect("a folder");
        let modules = dir.path().join("files/lib/modules/1/kernel/net");
        fs::create_dir_all(&modules).expect("a folder");
        for file in [
            "veth.ko.xz",
            "tcp_diag.ko.xz",
            "inet_diag.ko.xz",
            "other.ko.xz",
            "vmlinuz-1",
        ] {
            fs::write(modules.join(file), file).expect("a file");
        }
        let boot = Boot {
            dir: dir.path().join("made"),
        };
        collect(&dir.path().join("files"), &boot.dir).expect("an image is there");
        assert_eq!(fs::read(boot.image()).expect("the image"), b"vmlinuz-1");
        let names: Vec<_> = boot
            .modules()
            .expect("modules")
            .iter()
            .map(|path| super::name(path).to_owned())
            .collect();
        assert_eq!(
            names,
            ["00-inet_diag.ko.xz", "01-tcp_diag.ko.xz", "03-veth.ko.xz"]
        );
    }

    #[test]
    fn a_changed_file_is_noticed() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(!is_whole(dir.path()));
        fs::write(dir.path().join("vmlinuz"), "one").expect("a file");
        write_sums(dir.path()).expect("sums");
        assert!(is_whole(dir.path()));
        fs::write(dir.path().join("vmlinuz"), "two").expect("a file");
        assert!(!is_whole(dir.path()));
    }
}
