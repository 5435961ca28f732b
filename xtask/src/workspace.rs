//! The paths in a checkout.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// A checkout of this project.
#[derive(Clone, Debug)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The checkout that this program was started from.
    ///
    /// Cargo passes the package's path at run time. The path from build time is only used for a binary that is started
    /// by hand, because the checkout may have been moved since.
    pub fn current() -> Result<Self> {
        let package = env::var_os("CARGO_MANIFEST_DIR")
            .map(PathBuf::from)
            .filter(|dir| dir.ends_with("xtask"))
            .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
        let root = package
            .parent()
            .with_context(|| format!("{} has no parent folder", package.display()))?;
        Self::at(root)
    }

    /// The checkout in `root`.
    pub fn at(root: &Path) -> Result<Self> {
        // The compiler sees resolved paths, so the remapped paths must be resolved too.
        let root = fs::canonicalize(root).with_context(|| {
            format!(
                "{} does not exist: run this by `cargo xtask` in a checkout",
                root.display()
            )
        })?;
        Ok(Self { root })
    }

    /// The folder with the workspace's `Cargo.toml`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The target folder of BPF builds. It is separate, so that they never wait for the lock of another cargo, and does
    /// not depend on `CARGO_TARGET_DIR`.
    pub fn bpf_target(&self) -> PathBuf {
        self.root.join("target/bpf")
    }

    /// The committed BPF objects: the binary that cargo builds, and where its object is committed.
    pub fn bpf_objects(&self) -> [(&'static str, PathBuf); 2] {
        let source = self.root.join("tcptrace/src/source");
        [
            ("tcptrace", source.join("bpf/tcptrace.bpf.o")),
            ("walk", source.join("walk/walk.bpf.o")),
        ]
    }

    /// The committed digest of the sources that the objects were made from.
    pub fn bpf_digest(&self) -> PathBuf {
        self.root
            .join("tcptrace/src/source/bpf/tcptrace.bpf.digest")
    }

    /// Copies everything that cargo needs to build any package of this workspace into `to`: the files at the top,
    /// cargo's settings, and every folder that is a package.
    pub fn copy_to(&self, to: &Path) -> Result<Self> {
        fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
        for entry in read_dir(&self.root)? {
            let target = to.join(entry.file_name());
            let path = entry.path();
            if path.is_file() {
                copy_file(&path, &target)?;
            } else if entry.file_name() == ".cargo" || path.join("Cargo.toml").is_file() {
                copy_dir(&path, &target)?;
            }
        }
        Self::at(to)
    }
}

fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    for entry in read_dir(from)? {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_dir(&path, &target)?;
        } else {
            copy_file(&path, &target)?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

fn read_dir(dir: &Path) -> Result<Vec<fs::DirEntry>> {
    fs::read_dir(dir)
        .and_then(Iterator::collect)
        .with_context(|| format!("cannot list {}", dir.display()))
}
