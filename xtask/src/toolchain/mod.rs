//! What building for the BPF target needs beyond a stable Rust: a linker, and the standard library's source.

mod debian;
mod linker;
mod rustc;
mod shim;
mod std_source;

use crate::workspace::Workspace;
use anyhow::Result;
use std::path::PathBuf;

/// Everything that a BPF build needs, found or fetched.
#[derive(Debug)]
pub struct Toolchain {
    /// The compiler to call: it takes the standard library's source from `sysroot`.
    pub rustc: PathBuf,
    /// The folder that `rustc` calls its sysroot; not the user's own.
    pub sysroot: PathBuf,
    /// The user's own sysroot, which holds the compiler itself.
    pub real_sysroot: PathBuf,
    /// The BPF linker.
    pub linker: PathBuf,
}

impl Toolchain {
    /// Finds or fetches the parts. What is fetched goes to the cache folder and the workspace's target folder: the
    /// user's own toolchain is left as it is.
    pub fn prepare(workspace: &Workspace) -> Result<Self> {
        let rustc = rustc::Rustc::pinned(workspace)?;
        let linker = linker::prepare(workspace)?;
        let library = std_source::prepare(&rustc)?;
        let shim = shim::write(&workspace.bpf_target().join("sysroot"), &rustc, &library)?;
        Ok(Self {
            rustc: shim.rustc,
            sysroot: shim.sysroot,
            real_sysroot: rustc.sysroot,
            linker,
        })
    }
}
