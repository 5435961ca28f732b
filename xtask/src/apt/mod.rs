//! Packages of any Debian suite, through the machine's own mirror and without root.
//!
//! apt itself fetches and checks everything, with lists and a cache that are separate from the machine's. Nothing is
//! installed, and the machine's apt data does not change.

mod index;
mod mirror;
mod version;

pub use index::Package;
pub use version::newest;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{cache, process};

/// The package lists of one suite for one architecture. Dropping this deletes them.
pub struct Lists {
    dir: TempDir,
    suite: String,
    architecture: String,
}

impl Lists {
    /// Fetches the lists of `suite`, such as `trixie-backports` or `bullseye-security`. `architecture` is Debian's
    /// name, such as `amd64`.
    pub fn fetch(suite: &str, architecture: &str) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("apt-")
            .tempdir_in(cache::dir()?)
            .context("cannot create a folder for package lists")?;
        let entry = mirror::entry(suite, architecture)?;
        for partial in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.path().join(partial))?;
        }
        fs::write(dir.path().join("sources.list"), entry)?;
        let lists = Self {
            dir,
            suite: suite.into(),
            architecture: architecture.into(),
        };
        process::run(
            lists
                .command("apt-get")
                .args(["--quiet", "--quiet", "update"]),
            &format!("fetch the package lists of {suite}"),
        )?;
        Ok(lists)
    }

    /// The names of all packages that start with `prefix`.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let mut command = self.command("apt-cache");
        command.args(["pkgnames", prefix]);
        let text = process::capture(&mut command, "list packages")?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Every version of the packages with these names, in no particular order.
    pub fn show<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<Vec<Package>> {
        let mut names = names.into_iter().peekable();
        if names.peek().is_none() {
            return Ok(Vec::new());
        }
        let mut command = self.command("apt-cache");
        // apt-cache fails if one name is unknown, but still shows the others. The caller checks what is missing.
        let output = command
            .arg("show")
            .args(names)
            .stderr(Stdio::null())
            .output()
            .context("cannot start apt-cache: this needs a machine with apt")?;
        Ok(index::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    /// Downloads `package` into `to` and returns the path of the `.deb`. apt checks it against the signed lists.
    pub fn download(&self, package: &Package, to: &Path) -> Result<PathBuf> {
        let into = tempfile::tempdir_in(to)
            .with_context(|| format!("cannot write in {}", to.display()))?;
        let Package { name, version, .. } = package;
        process::run(
            self.command("apt-get")
                .current_dir(into.path())
                .args(["--quiet", "--quiet", "download"])
                .arg(format!("{name}={version}")),
            &format!("download {name} {version} of {}", self.suite),
        )?;
        let mut files = fs::read_dir(into.path())?;
        let Some(file) = files.next().transpose()? else {
            bail!("apt downloaded no file for {name} {version}");
        };
        let deb = to.join(file.file_name());
        fs::rename(file.path(), &deb).with_context(|| format!("cannot write {}", deb.display()))?;
        Ok(deb)
    }

    /// One of apt's programs, configured to use only these lists.
    fn command(&self, program: &str) -> Command {
        let dir = self.dir.path();
        let mut command = Command::new(program);
        for (name, value) in [
            (
                "Dir::Etc::SourceList",
                dir.join("sources.list").into_os_string(),
            ),
            ("Dir::Etc::SourceParts", "/dev/null".into()),
            ("Dir::Etc::PreferencesParts", "/dev/null".into()),
            ("Dir::State", dir.into()),
            ("Dir::State::Lists", dir.join("lists").into_os_string()),
            // No package counts as installed.
            ("Dir::State::Status", "/dev/null".into()),
            ("Dir::Cache", dir.join("cache").into_os_string()),
            ("APT::Architecture", self.architecture.as_str().into()),
            ("APT::Architectures", self.architecture.as_str().into()),
            // Regardless of the machine's settings: the lists must be signed, and a failed fetch must be an error.
            ("Acquire::AllowInsecureRepositories", "false".into()),
            ("APT::Get::AllowUnauthenticated", "false".into()),
            ("APT::Update::Error-Mode", "any".into()),
            // As root, apt would switch to a user who may not write here.
            ("APT::Sandbox::User", "root".into()),
            ("Acquire::Languages", "none".into()),
            ("Acquire::Retries", "3".into()),
            // Icons and descriptions for software centres are megabytes that are not needed.
            (
                "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled",
                "false".into(),
            ),
            (
                "Acquire::IndexTargets::deb::DEP-11-icons::DefaultEnabled",
                "false".into(),
            ),
        ] {
            let mut option = OsString::from(format!("{name}="));
            option.push(&value);
            command.arg("-o").arg(option);
        }
        command
            .env("LC_ALL", "C")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }
}

/// Unpacks the files of a `.deb` into the folder `to`, without running its scripts.
pub fn unpack(deb: &Path, to: &Path) -> Result<()> {
    process::run(
        Command::new("dpkg-deb").arg("--extract").arg(deb).arg(to),
        &format!("unpack {}", deb.display()),
    )
}
