//! `cargo xtask ebpf`: builds the committed BPF objects.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, Result, bail};

use crate::{
    bpf::{build, digest},
    workspace::Workspace,
};

/// Build the BPF objects, and write them where they are committed
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Change nothing: fail unless a build in another folder gives the committed bytes
    #[arg(long)]
    check: bool,
    /// Change nothing: run clippy on the kernel side
    #[arg(long, conflicts_with = "check")]
    clippy: bool,
}

/// Runs the command with these arguments.
pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    if args.clippy {
        build::clippy(workspace)?;
    } else if args.check {
        check(workspace)?;
    } else {
        write(workspace)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write(workspace: &Workspace) -> Result<()> {
    // Before the build: an edit during the build must not count as built.
    let digest = digest::of_sources(workspace)?;
    let objects = build::objects(workspace)?;
    for (path, object) in objects {
        save(&path, &object)?;
        println!("{}: {} bytes", path.display(), object.len());
    }
    save(&workspace.bpf_digest(), digest.as_bytes())
}

fn save(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

/// Builds a copy in another folder from scratch. This also proves that no path gets into the object.
fn check(workspace: &Workspace) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let copy = workspace.copy_to(&folder.path().join("another place/tcptrace"))?;
    let built = build::objects(&copy)?;
    let objects = workspace.bpf_objects();
    for ((_, built), (_, path)) in built.iter().zip(&objects) {
        let bytes = fs::read(path).with_context(|| {
            format!(
                "cannot read {}: run `cargo xtask ebpf` and commit",
                path.display()
            )
        })?;
        if let Some(difference) = difference(&bytes, built) {
            bail!(
                "{} differs from a build of the sources: {difference}; run `cargo xtask ebpf` and commit",
                path.display()
            );
        }
    }
    let committed = fs::read_to_string(workspace.bpf_digest()).unwrap_or_default();
    if committed != digest::of_sources(&copy)? {
        bail!(
            "{} is out of date; run `cargo xtask ebpf` and commit",
            workspace.bpf_digest().display()
        );
    }
    for ((_, built), (_, path)) in built.iter().zip(&objects) {
        println!(
            "{}: a build of the sources gives the same {} bytes",
            path.display(),
            built.len()
        );
    }
    Ok(())
}

/// Says how `built` differs from `committed`, if it does.
fn difference(committed: &[u8], built: &[u8]) -> Option<String> {
    if committed == built {
        return None;
    }
    let offset = committed
        .iter()
        .zip(built)
        .position(|(old, new)| old != new)
        .unwrap_or(committed.len().min(built.len()));
    Some(format!(
        "{} bytes committed, {} bytes built, first difference at offset {offset}",
        committed.len(),
        built.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn differences_are_located() {
        assert_eq!(difference(b"same", b"same"), None);
        let changed = difference(b"abcd", b"abXd").expect("differs");
        assert!(
            changed.ends_with("first difference at offset 2"),
            "{changed}"
        );
        let longer = difference(b"ab", b"abcd").expect("differs");
        assert_eq!(
            longer,
            "2 bytes committed, 4 bytes built, first difference at offset 2"
        );
    }
}
