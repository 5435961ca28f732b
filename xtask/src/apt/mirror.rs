//! The machine's mirror of Debian's packages, according to its own apt.

use std::{env, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::process;

/// Debian's keys, from its package `debian-archive-keyring`. Without them apt accepts all keys that it trusts.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// For machines whose apt has no entry for Debian: the address of a mirror, and of one of the security archive.
const OVERRIDES: [(Archive, &str); 2] = [
    (Archive::Main, "TCPTRACE_DEBIAN_MIRROR"),
    (Archive::Security, "TCPTRACE_DEBIAN_SECURITY_MIRROR"),
];

/// Debian's releases and their aliases. Other systems with apt use none of these names.
const RELEASES: [&str; 10] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

/// Security updates are in a separate archive, often on another host or path.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Archive {
    Main,
    Security,
}

impl Archive {
    fn of(suite: &str) -> Self {
        if suite.ends_with("-security") {
            Self::Security
        } else {
            Self::Main
        }
    }
}

/// The line of a `sources.list` for `suite`.
pub fn entry(suite: &str, architecture: &str) -> Result<String> {
    let archive = Archive::of(suite);
    let variable = OVERRIDES
        .iter()
        .find(|(of, _)| *of == archive)
        .map_or("", |(_, name)| name);
    let uri = match env::var(variable) {
        Ok(uri) if !uri.is_empty() => uri,
        _ => configured(archive)?.with_context(|| {
            format!("no mirror for {suite}: this machine's apt has no entry for Debian; set {variable} to the address of a mirror")
        })?,
    };
    let signed_by = if Path::new(KEYRING).is_file() {
        format!(" signed-by={KEYRING}")
    } else {
        String::new()
    };
    Ok(format!(
        "deb [arch={architecture}{signed_by}] {uri} {suite} main\n"
    ))
}

fn configured(archive: Archive) -> Result<Option<String>> {
    // apt reads its own configuration, in any of its formats.
    let mut command = Command::new("apt-get");
    command.args([
        "indextargets",
        "--format",
        "$(RELEASE) $(COMPONENT) $(REPO_URI)",
        "Created-By: Packages",
    ]);
    let targets = process::capture(
        &mut command,
        "ask apt for its mirrors (this needs a machine with apt)",
    )?;
    Ok(choose(&targets, archive))
}

/// The address for `archive` among lines of release, component and address.
fn choose(targets: &str, archive: Archive) -> Option<String> {
    let entries = || {
        targets.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let (release, component, uri) = (words.next()?, words.next()?, words.next()?);
            let name = release.split(['-', '/']).next()?;
            (component == "main" && RELEASES.contains(&name)).then_some((release, uri))
        })
    };
    let of = |archive| {
        entries()
            .find(|(release, _)| Archive::of(release) == archive)
            .map(|(_, uri)| uri.to_owned())
    };
    of(archive).or_else(|| {
        // Mirrors of both archives use the same names.
        let main = of(Archive::Main)?;
        (archive == Archive::Security).then(|| format!("{}-security/", main.trim_end_matches('/')))
    })
}

#[cfg(test)]
mod tests {
    use super::{Archive, choose};

    const TARGETS: &str = "nodistro main https://other.example/\n\
        bookworm contrib http://contrib.example/debian/\n\
        bookworm main http://mirror.example/debian/\n\
        bookworm-security main http://security.example/debian-security/\n";

    #[test]
    fn takes_each_archive_from_its_own_entry() {
        assert_eq!(
            choose(TARGETS, Archive::Main).as_deref(),
            Some("http://mirror.example/debian/")
        );
        assert_eq!(
            choose(TARGETS, Archive::Security).as_deref(),
            Some("http://security.example/debian-security/")
        );
    }

    #[test]
    fn finds_the_security_archive_beside_the_main_one() {
        let targets = "bookworm main http://mirror.example/debian/\n";
        assert_eq!(
            choose(targets, Archive::Security).as_deref(),
            Some("http://mirror.example/debian-security/")
        );
    }

    #[test]
    fn another_system_has_no_mirror_of_debian() {
        assert_eq!(
            choose("noble main http://mirror.example/other/\n", Archive::Main),
            None
        );
    }
}
