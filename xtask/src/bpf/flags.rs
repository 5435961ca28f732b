//! The compiler's flags for a BPF build.

use std::path::{Path, PathBuf};

/// Paths that depend on the machine: none of them may appear in the object.
#[derive(Debug)]
pub struct Paths {
    /// The checkout.
    pub workspace: PathBuf,
    /// Folders with the sources of dependencies: one per registry, all with the same crates.
    pub registries: Vec<PathBuf>,
    /// Folders where the compiler finds the standard library.
    pub sysroots: Vec<PathBuf>,
    /// bpf-linker.
    pub linker: PathBuf,
}

/// The flags, in the form of `CARGO_ENCODED_RUSTFLAGS`: paths may have spaces.
pub fn encoded(paths: &Paths) -> String {
    let mut flags = vec![
        format!("-Clinker={}", paths.linker.display()),
        // The linker makes BTF from debug information; the rest of it is stripped from the object later.
        "-Cdebuginfo=2".into(),
        "-Clink-arg=--btf".into(),
        // aya-ebpf has a build for each architecture and chooses the host's by default. They only differ in the layout
        // of registers, which tracing programs without kprobes never use. So one object works on all little-endian
        // machines, and this flag makes it the same on every build machine.
        r#"--cfg=bpf_target_arch="x86_64""#.into(),
    ];
    // The compiler uses the last matching prefix, so the workspace, which contains the sysroot of this build, comes
    // first.
    flags.push(remap(&paths.workspace, "/tcptrace"));
    flags.extend(paths.registries.iter().map(|dir| remap(dir, "/cargo")));
    flags.extend(paths.sysroots.iter().map(|dir| remap(dir, "/rust")));
    flags.join("\x1f")
}

fn remap(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

#[cfg(test)]
mod tests {
    use super::{Paths, encoded};

    #[test]
    fn inner_folders_are_remapped_last() {
        let flags = encoded(&Paths {
            workspace: "/home/a b/w".into(),
            registries: vec!["/r/one".into(), "/r/two".into()],
            sysroots: vec!["/home/a b/w/target/bpf/sysroot".into()],
            linker: "/l/bpf-linker".into(),
        });
        let remaps: Vec<_> = flags
            .split('\x1f')
            .filter_map(|flag| flag.strip_prefix("--remap-path-prefix="))
            .collect();
        assert_eq!(
            remaps,
            [
                "/home/a b/w=/tcptrace",
                "/r/one=/cargo",
                "/r/two=/cargo",
                "/home/a b/w/target/bpf/sysroot=/rust",
            ]
        );
    }
}
