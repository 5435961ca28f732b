//! A separate sysroot: the user's compiler with the standard library's source.
//!
//! `-Zbuild-std` needs the source inside the sysroot. There is a second reason: cargo names each crate by its path, and
//! only uses a relative path inside the sysroot. The names are in the symbols of the object, so with the source
//! anywhere else the object would differ between machines. A toolchain with the component `rust-src` gives the same
//! bytes.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::rustc::Rustc;

/// The compiler's sysroot, and the compiler that uses it.
#[derive(Debug)]
pub struct Shim {
    /// The sysroot that the compiler reports.
    pub sysroot: PathBuf,
    /// The compiler to call.
    pub rustc: PathBuf,
}

/// Makes the sysroot in folder `sysroot`: links to the source and to the host's libraries, and a script that calls
/// the compiler.
pub fn write(sysroot: &Path, rustc: &Rustc, library: &Path) -> Result<Shim> {
    let rustlib = sysroot.join("lib/rustlib");
    link(library, &rustlib.join("src/rust/library"))?;
    // Build scripts and procedural macros are for the host and need its standard library.
    link(
        &rustc.sysroot.join("lib/rustlib").join(&rustc.host),
        &rustlib.join(&rustc.host),
    )?;
    let script = format!(
        "#!/bin/sh\nexec {} --sysroot {} \"$@\"\n",
        quote(&rustc.program())?,
        quote(sysroot)?
    );
    let program = sysroot.join("rustc");
    // A correct script is not rewritten: a newer compiler would make cargo build everything again.
    if fs::read_to_string(&program).is_ok_and(|old| old == script) {
        return Ok(Shim {
            sysroot: sysroot.into(),
            rustc: program,
        });
    }
    fs::write(&program, script)
        .and_then(|()| fs::set_permissions(&program, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("cannot write {}", program.display()))?;
    Ok(Shim {
        sysroot: sysroot.into(),
        rustc: program,
    })
}

/// Makes `at` a symbolic link to `to`, and replaces an existing link.
fn link(to: &Path, at: &Path) -> Result<()> {
    if fs::read_link(at).is_ok_and(|old| old == to) {
        return Ok(());
    }
    let doing = || format!("cannot link {} to {}", at.display(), to.display());
    if at.is_symlink() {
        fs::remove_file(at).with_context(doing)?;
    } else if let Some(parent) = at.parent() {
        fs::create_dir_all(parent).with_context(doing)?;
    }
    symlink(to, at).with_context(doing)
}

fn quote(path: &Path) -> Result<String> {
    let text = path.to_str().with_context(|| {
        format!(
            "the path {} is not UTF-8: use another folder",
            path.display()
        )
    })?;
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{link, quote};

    #[test]
    fn paths_are_quoted_for_the_shell() {
        assert_eq!(
            quote(Path::new("/a b/it's")).expect("is UTF-8"),
            r"'/a b/it'\''s'"
        );
    }

    #[test]
    fn a_link_is_replaced() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let at = dir.path().join("deep/link");
        for to in ["/one", "/two", "/two"] {
            link(Path::new(to), &at).expect("can link");
            assert_eq!(at.read_link().expect("is a link"), Path::new(to));
        }
    }
}
