//! The requirements of a BPF build beyond a stable Rust: a linker, and the standard library's source.

mod debian;
mod linker;
mod rustc;
mod shim;
mod std_source;

use std::path::PathBuf;

use anyhow::Result;

use crate::workspace::Workspace;

/// Everything that a BPF build needs, found or fetched.
#[derive(Debug)]
pub struct Toolchain {
    /// The compiler to call: it uses the standard library's source in `sysroot`.
    pub rustc: PathBuf,
    /// The folder that `rustc` uses as its sysroot; not the user's own.
    pub sysroot: PathBuf,
    /// The user's own sysroot, which contains the compiler itself.
    pub real_sysroot: PathBuf,
    /// The BPF linker.
    pub linker: PathBuf,
}

impl Toolchain {
    /// Finds or fetches the parts. Fetched parts go to the cache folder and the workspace's target folder; the user's
    /// own toolchain does not change.
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
