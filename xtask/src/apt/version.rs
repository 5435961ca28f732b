//! The order of Debian's version numbers, from dpkg, which is installed wherever apt is.

use std::process::Command;

use anyhow::{Result, bail};

use super::Package;
use crate::process;

/// The newest of these packages; the first one of equal versions.
pub fn newest<'a>(packages: impl IntoIterator<Item = &'a Package>) -> Result<Option<&'a Package>> {
    let mut packages = packages.into_iter();
    let Some(first) = packages.next() else {
        return Ok(None);
    };
    packages
        .try_fold(first, |newest, package| {
            let newer = is_newer(&package.version, &newest.version)?;
            Ok(if newer { package } else { newest })
        })
        .map(Some)
}

fn is_newer(version: &str, than: &str) -> Result<bool> {
    let mut command = Command::new("dpkg");
    command.args(["--compare-versions", version, "gt", than]);
    match process::status(&mut command, "compare versions")?.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => bail!("dpkg cannot compare the versions {version} and {than}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_newer, newest};
    use crate::apt::Package;

    #[test]
    #[ignore = "it needs dpkg"]
    fn orders_versions_as_debian_does() {
        let ordered = [
            "1.0~rc1",
            "1.0",
            "1.0-1~bpo13+1",
            "1.0-1",
            "1.0-1+b1",
            "1.0a",
            "1.0+x",
            "1.9",
            "1.12",
            "1:0.1",
        ];
        let newer = |version, than| is_newer(version, than).expect("dpkg is here");
        for pair in ordered.windows(2) {
            assert!(newer(pair[1], pair[0]), "{pair:?}");
            assert!(!newer(pair[0], pair[1]), "{pair:?}");
        }
        assert!(!newer("5.10.262-1", "5.10.262-1"));
    }

    #[test]
    #[ignore = "it needs dpkg"]
    fn the_newest_is_found_wherever_it_stands() {
        let packages = ["6.1.9-1", "6.1.12-1", "6.1.10-1"].map(|version| Package {
            name: "linux-image-6.1".into(),
            version: version.into(),
            depends: Vec::new(),
        });
        let found = newest(&packages).expect("dpkg is here");
        assert_eq!(found, Some(&packages[1]));
        assert_eq!(newest([]).expect("dpkg is not asked"), None);
    }
}
