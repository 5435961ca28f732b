//! The kernels of the matrix and where Debian has them. To change the matrix, change this file, and the
//! table in docs/compatibility.md.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};

use super::arch::Arch;
use crate::apt::{self, Lists, Package};

/// A kernel series, and the suites to search, in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The first two numbers of the version.
    pub series: &'static str,
    /// Suites with small lists come first: the list of a whole release has ten megabytes.
    suites: &'static [&'static str],
}

/// The long-term kernels that Debian's releases and many machines run, and the newest two.
///
/// The packages are `linux-image-VERSION-cloud-ARCHITECTURE`, where VERSION starts with the series. Since 7.x this
/// package is empty and depends on `linux-binary-…` and `linux-modules-…`.
pub const KERNELS: [Kernel; 6] = [
    Kernel {
        series: "5.10",
        suites: &["bullseye-security", "bullseye"],
    },
    Kernel {
        series: "6.1",
        suites: &["bookworm-security", "bookworm"],
    },
    Kernel {
        series: "6.12",
        suites: &["trixie-security", "trixie"],
    },
    Kernel {
        series: "6.18",
        suites: &["trixie-backports"],
    },
    Kernel {
        series: "7.2",
        suites: &["trixie-backports", "sid"],
    },
    Kernel {
        series: "7.3",
        suites: &["trixie-backports", "sid"],
    },
];

/// Packages that a kernel may be split into.
const PARTS: [&str; 2] = ["linux-binary-", "linux-modules-"];

impl Kernel {
    /// The kernel of the matrix with this series.
    pub fn find(series: &str) -> Result<&'static Self, String> {
        KERNELS
            .iter()
            .find(|kernel| kernel.series == series)
            .ok_or_else(|| {
                let known: Vec<_> = KERNELS.iter().map(|kernel| kernel.series).collect();
                format!("the kernels are {}", known.join(", "))
            })
    }

    /// Calls `fetch` with the newest packages of this series and the lists to download them by, for one suite after
    /// another, until it succeeds. Suites of old releases move, and some list packages that are gone.
    pub fn fetch(
        &self,
        suites: &mut Suites,
        arch: Arch,
        mut fetch: impl FnMut(&Lists, &[Package]) -> Result<()>,
    ) -> Result<()> {
        let mut notes = Vec::new();
        for &suite in self.suites {
            let fetched = suites.get(suite, arch).and_then(|lists| {
                let packages = self.newest(lists, arch)?;
                fetch(
                    lists,
                    &packages.with_context(|| format!("{suite} has none"))?,
                )
            });
            match fetched {
                Ok(()) => return Ok(()),
                Err(error) => notes.push(format!("{error:#}")),
            }
        }
        bail!(
            "no cloud kernel {} for {}: {}",
            self.series,
            arch.debian(),
            notes.join("; ")
        )
    }

    fn newest(&self, lists: &Lists, arch: Arch) -> Result<Option<Vec<Package>>> {
        let names = lists.names(&format!("linux-image-{}.", self.series))?;
        let suffix = format!("-cloud-{}", arch.debian());
        let images = lists.show(
            names
                .iter()
                .map(String::as_str)
                .filter(|name| name.ends_with(&suffix)),
        )?;
        let Some(image) = apt::newest(&images)? else {
            return Ok(None);
        };
        let mut packages = Vec::new();
        for name in parts(image) {
            match apt::newest(&lists.show([name])?)? {
                Some(part) => packages.push(part.clone()),
                None => bail!(
                    "{} needs {name}, but the suite does not have it",
                    image.name
                ),
            }
        }
        packages.push(image.clone());
        Ok(Some(packages))
    }
}

fn parts(image: &Package) -> impl Iterator<Item = &str> {
    image
        .depends
        .iter()
        .map(String::as_str)
        .filter(|name| PARTS.iter().any(|part| name.starts_with(part)))
}

/// Package lists by suite, each fetched once.
#[derive(Default)]
pub struct Suites(HashMap<&'static str, Lists>);

impl Suites {
    fn get(&mut self, suite: &'static str, arch: Arch) -> Result<&Lists> {
        // Not the entry API: fetching may fail.
        if !self.0.contains_key(suite) {
            self.0.insert(suite, Lists::fetch(suite, arch.debian())?);
        }
        Ok(&self.0[suite])
    }
}

#[cfg(test)]
mod tests {
    use super::{KERNELS, Kernel, parts};
    use crate::apt::Package;

    #[test]
    fn kernels_are_found_by_their_series_alone() {
        for kernel in &KERNELS {
            assert_eq!(Kernel::find(kernel.series), Ok(kernel));
        }
        let error = Kernel::find("4.19").expect_err("it is not in the matrix");
        assert!(error.contains("6.12"), "{error}");
    }

    #[test]
    fn parts_are_the_image_and_the_modules_alone() {
        let depends = [
            "dracut",
            "linux-base-7",
            "linux-binary-7",
            "linux-modules-7",
        ]
        .map(String::from);
        let image = Package {
            name: "linux-image-7".into(),
            version: "7".into(),
            depends: depends.into(),
        };
        assert_eq!(
            parts(&image).collect::<Vec<_>>(),
            ["linux-binary-7", "linux-modules-7"]
        );
    }
}
