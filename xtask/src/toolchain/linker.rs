//! bpf-linker.

use std::path::PathBuf;

use anyhow::Result;

use crate::{cache, cargo, process, workspace::Workspace};

/// The last version that uses rustc's own LLVM; later ones need LLVM's development packages.
const VERSION: &str = "0.10.4";

/// The path of bpf-linker. Installs it in the cache folder (about a minute) if it is not there.
pub fn prepare(workspace: &Workspace) -> Result<PathBuf> {
    let root = cache::dir()?.join(format!("bpf-linker-{VERSION}"));
    let program = root.join("bin/bpf-linker");
    if !program.is_file() {
        eprintln!("installing bpf-linker {VERSION} in {}", root.display());
        let mut command = cargo::command(workspace);
        command
            .args(["install", "--locked", "--quiet"])
            .arg(format!("bpf-linker@{VERSION}"))
            .arg("--root")
            .arg(&root);
        process::run(&mut command, "install bpf-linker")?;
    }
    Ok(program)
}
