//! Debian's package of the standard library's source.
//!
//! Debian's compiler is not the one in use, but the source of a release is the same: what differs is in parts
//! that no BPF program uses. The machine's own package lists are not touched, so no root is needed.

use super::apt_sources::{self, Mirror};
use crate::process;
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The suite with the widest choice of Rust versions.
const SUITE: &str = "trixie-backports";

/// Signs the archive where the machine's own list says nothing about it.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Fetches the source of Rust `release` into `scratch` and gives its folder `library`.
pub fn fetch(release: &str, scratch: &Path) -> Result<PathBuf> {
    let mirror = machine_mirror()?;
    let apt = Apt::new(scratch, &mirror)?;
    process::run(
        apt.command("apt-get").args(["--quiet=2", "update"]),
        "read Debian's package lists",
    )?;
    let madison = process::capture(
        apt.command("apt-cache").args(["madison", "rust-src"]),
        "look for Debian's rust-src",
    )?;
    let version = choose(&madison, release)
        .with_context(|| format!("Debian's {SUITE} has no rust-src {release}"))?;
    let mut download = apt.command("apt-get");
    download
        .args(["--quiet=2", "download"])
        .arg(format!("rust-src={version}"));
    process::run(&mut download, "download Debian's rust-src")?;
    let package = downloaded(scratch)?;
    let files = scratch.join("files");
    process::run(
        Command::new("dpkg-deb").arg("-x").arg(package).arg(&files),
        "unpack Debian's rust-src",
    )?;
    Ok(files.join(format!("usr/src/rustc-{release}/library")))
}

/// Apt with lists, settings and cache of its own in one folder.
struct Apt {
    dir: PathBuf,
}

impl Apt {
    fn new(dir: &Path, mirror: &Mirror) -> Result<Self> {
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(folder)).context("cannot make folders for apt")?;
        }
        fs::write(dir.join("debian.sources"), source(mirror))
            .context("cannot write a list of sources for apt")?;
        Ok(Self { dir: dir.into() })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let dir = self.dir.display();
        for option in [
            format!("Dir::Etc::SourceList={dir}/debian.sources"),
            "Dir::Etc::SourceParts=/dev/null".into(),
            format!("Dir::State::Lists={dir}/lists"),
            format!("Dir::Cache={dir}/cache"),
            "Acquire::Languages=none".into(),
            // Whatever the machine allows elsewhere: this must be signed, and a failed fetch must be an error.
            "Acquire::AllowInsecureRepositories=false".into(),
            "APT::Get::AllowUnauthenticated=false".into(),
            "APT::Update::Error-Mode=any".into(),
            // Root's apt would give its rights up for a user who cannot write into our folder, and warn.
            "APT::Sandbox::User=root".into(),
        ] {
            command.arg("-o").arg(option);
        }
        command.current_dir(&self.dir);
        command
    }
}

fn source(mirror: &Mirror) -> String {
    let signed_by = mirror.signed_by.as_deref().unwrap_or(KEYRING);
    let uri = &mirror.uri;
    format!("Types: deb\nURIs: {uri}\nSuites: {SUITE}\nComponents: main\nSigned-By: {signed_by}\n")
}

/// Debian's mirror in the machine's own lists, so that no address is written down here.
fn machine_mirror() -> Result<Mirror> {
    let mut command = Command::new("apt-config");
    command.args([
        "shell",
        "LIST",
        "Dir::Etc::SourceList/f",
        "PARTS",
        "Dir::Etc::SourceParts/d",
    ]);
    let config = process::capture(&mut command, "ask apt where its lists are")?;
    let mut files: Vec<PathBuf> = Vec::new();
    for (name, path) in shell_values(&config) {
        if name == "LIST" {
            files.push(path.into());
        } else if let Ok(entries) = fs::read_dir(path) {
            files.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
        }
    }
    files.sort();
    files
        .iter()
        .find_map(|file| {
            let text = fs::read_to_string(file).ok()?;
            match file.extension()?.to_str()? {
                "list" => apt_sources::from_list(&text),
                "sources" => apt_sources::from_deb822(&text),
                _ => None,
            }
        })
        .context("apt is not set up for Debian's archive here")
}

/// `NAME='value'` lines.
fn shell_values(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name, value.trim_matches('\'')))
}

/// The version of a package for Rust `release`, in what `apt-cache madison` prints.
fn choose<'a>(madison: &'a str, release: &str) -> Option<&'a str> {
    madison
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
        .find(|version| {
            version
                .strip_prefix(release)
                .is_some_and(|rest| rest.starts_with(['+', '-', '~']))
        })
}

fn downloaded(dir: &Path) -> Result<PathBuf> {
    let mut packages = fs::read_dir(dir)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"));
    match (packages.next(), packages.next()) {
        (Some(package), None) => Ok(package),
        _ => bail!("apt-get download left no package"),
    }
}

#[cfg(test)]
mod tests {
    use super::{choose, shell_values};

    #[test]
    fn chooses_the_compilers_version() {
        let madison = " rust-src | 1.95.1+dfsg1-1 | http://m.test/debian trixie-backports/main amd64 Packages\n \
                       rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://m.test/debian trixie-backports/main amd64 Packages\n";
        assert_eq!(choose(madison, "1.95.0"), Some("1.95.0+dfsg1-2~bpo13+1"));
        assert_eq!(choose(madison, "1.95"), None);
        assert_eq!(choose("", "1.95.0"), None);
    }

    #[test]
    fn reads_apts_settings() {
        let values: Vec<_> =
            shell_values("LIST='/etc/apt/sources.list'\nPARTS='/etc/apt/sources.list.d/'\n")
                .collect();
        assert_eq!(
            values,
            [
                ("LIST", "/etc/apt/sources.list"),
                ("PARTS", "/etc/apt/sources.list.d/")
            ]
        );
    }
}
