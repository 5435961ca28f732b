//! Debian's package of the standard library's source.
//!
//! Debian's compiler is not the one in use, but the source of a release is the same: the differences are in parts that
//! no BPF program uses.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::apt::{self, Lists, Package, unpack};

/// The suite with the widest choice of Rust versions.
const SUITE: &str = "trixie-backports";

/// The package is the same for all architectures, so any of them works for the lookup.
const ARCHITECTURE: &str = "amd64";

/// Fetches the source of Rust `release` into `scratch` and returns its folder `library`.
pub fn fetch(release: &str, scratch: &Path) -> Result<PathBuf> {
    let lists = Lists::fetch(SUITE, ARCHITECTURE)?;
    let packages = lists.show(["rust-src"])?;
    let package = choose(&packages, release)?
        .with_context(|| format!("Debian's {SUITE} has no rust-src {release}"))?;
    let files = scratch.join("files");
    unpack(&lists.download(package, scratch)?, &files)?;
    Ok(files.join(format!("usr/src/rustc-{release}/library")))
}

/// The newest package for Rust `release`.
fn choose<'a>(packages: &'a [Package], release: &str) -> Result<Option<&'a Package>> {
    apt::newest(packages.iter().filter(|package| {
        package
            .version
            .strip_prefix(release)
            .is_some_and(|rest| rest.starts_with(['+', '-', '~']))
    }))
}

#[cfg(test)]
mod tests {
    use super::choose;
    use crate::apt::Package;

    #[test]
    fn chooses_the_compilers_version() {
        let packages = ["1.95.1+dfsg1-1", "1.95.0+dfsg1-2~bpo13+1"].map(|version| Package {
            name: "rust-src".into(),
            version: version.into(),
            depends: Vec::new(),
        });
        let choose = |packages, release| choose(packages, release).expect("one at most fits");
        assert_eq!(choose(&packages, "1.95.0"), Some(&packages[1]));
        assert_eq!(choose(&packages, "1.95"), None);
        assert_eq!(choose(&[], "1.95.0"), None);
    }
}
