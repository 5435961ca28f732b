//! A digest of the sources, committed with the object: a unit test detects that the object is out of date, without
//! building it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::workspace::Workspace;

/// The object's sources, relative to the workspace; folders include everything in them.
///
/// The lock file is not included, because most of its changes do not affect the object. `--check` detects those that
/// do.
const SOURCES: [&str; 5] = [
    "rust-toolchain.toml",
    "tcptrace-common/Cargo.toml",
    "tcptrace-common/src",
    "tcptrace-ebpf/Cargo.toml",
    "tcptrace-ebpf/src",
];

/// The digest of the sources, as the committed file has it: SHA-256 in hexadecimal and a newline.
pub fn of_sources(workspace: &Workspace) -> Result<String> {
    let mut files = Vec::new();
    for source in SOURCES {
        list(workspace.root(), Path::new(source), &mut files)?;
    }
    // By bytes, so that the order does not depend on the locale.
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        let path = workspace.root().join(&file);
        let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        // With lengths, so that different trees never give the same bytes.
        for part in [file.as_os_str().as_encoded_bytes(), &content] {
            digest.update(u64::try_from(part.len())?.to_le_bytes());
            digest.update(part);
        }
    }
    let hex: String = digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(hex + "\n")
}

/// Adds `path` (relative to `root`) to `files`, or all files in it.
fn list(root: &Path, path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let full = root.join(path);
    if full.is_file() {
        files.push(path.into());
        return Ok(());
    }
    for entry in fs::read_dir(&full).with_context(|| format!("cannot list {}", full.display()))? {
        list(root, &path.join(entry?.file_name()), files)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::of_sources;
    use crate::workspace::Workspace;

    #[test]
    fn the_committed_object_is_of_these_sources() {
        let workspace = Workspace::current().expect("run by cargo");
        let committed = fs::read_to_string(workspace.bpf_digest()).unwrap_or_default();
        let now = of_sources(&workspace).expect("can read the sources");
        assert!(
            committed == now,
            "the kernel side's sources have changed since its objects were built: run `cargo xtask ebpf` and commit \
             what it writes"
        );
    }

    fn write(root: &Path, path: &str, content: &str) {
        let path = root.join(path);
        let folder = path.parent().expect("a path in the workspace");
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(path, content))
            .expect("can write");
    }

    #[test]
    fn every_name_and_every_byte_counts_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = dir.path();
        for file in [
            "tcptrace-common/Cargo.toml",
            "tcptrace-ebpf/Cargo.toml",
            "rust-toolchain.toml",
        ] {
            write(root, file, file);
        }
        write(root, "tcptrace-common/src/lib.rs", "common");
        write(root, "tcptrace-ebpf/src/main.rs", "main");
        let workspace = Workspace::at(root).expect("is there");
        let digest = || of_sources(&workspace).expect("can read");

        let first = digest();
        assert_eq!(first.trim_end().len(), 64);
        write(root, "tcptrace/src/main.rs", "another package");
        assert_eq!(digest(), first);
        write(root, "tcptrace-ebpf/src/deep/module.rs", "");
        let second = digest();
        assert_ne!(second, first);
        write(root, "tcptrace-ebpf/src/deep/module.rs", "x");
        assert_ne!(digest(), second);
    }
}
