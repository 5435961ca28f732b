//! Writes a guest's initramfs: a cpio archive in the "newc" format, which the kernel's documentation
//! describes (driver-api/early-userspace/buffer-format).

use std::{
    fs::{self, File},
    io::{BufWriter, Cursor, Write},
    path::Path,
};

use anyhow::{Context, Result};
use cpio::NewcBuilder;

use super::{
    job::{JOB, Job, MODULES, PROGRAMS},
    programs::Programs,
    store::Boot,
};

/// Folders that programs expect, and mount points of init.
const DIRECTORIES: [&str; 10] = [
    "/dev", "/etc", "/proc", "/root", "/run", "/sys", "/tmp", "/var", PROGRAMS, MODULES,
];

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// The path in the guest of the program of this name.
pub fn program(name: &str) -> String {
    format!("{PROGRAMS}/{name}")
}

/// Writes the initramfs for `job` to `to`. It is not compressed: unpacking costs an emulated CPU more than reading.
pub fn write(to: &Path, boot: &Boot, programs: &Programs, job: &Job) -> Result<()> {
    // A folder comes before its content.
    let mut entries = Vec::from(DIRECTORIES.map(directory));
    // The kernel opens this for init, before there is a devtmpfs.
    entries.push(device("/dev/console", 5, 1));
    entries.push(file(JOB, serde_json::to_vec(job)?));
    entries.push(file("/init", read(&programs.init)?));
    entries.push(file(&program("tcptrace"), read(&programs.tool)?));
    entries.push(file(&program("live"), read(&programs.tests)?));
    for module in boot.modules()? {
        let name = module
            .file_name()
            .context("a module without a name")?
            .to_string_lossy();
        entries.push(file(&format!("{MODULES}/{name}"), read(&module)?));
    }
    File::create(to)
        .and_then(|file| cpio::write_cpio(entries.into_iter(), BufWriter::new(file)))
        .and_then(|mut file| file.flush())
        .with_context(|| format!("cannot write {}", to.display()))
}

/// The header of an entry, and the content of the file.
type Entry = (NewcBuilder, Cursor<Vec<u8>>);

fn directory(path: &str) -> Entry {
    (head(path, DIRECTORY), Cursor::default())
}

/// A file that root may execute.
fn file(path: &str, content: Vec<u8>) -> Entry {
    (head(path, PROGRAM), Cursor::new(content))
}

fn device(path: &str, major: u32, minor: u32) -> Entry {
    let head = head(path, CHARACTER_DEVICE);
    (head.rdev_major(major).rdev_minor(minor), Cursor::default())
}

/// An entry owned by root. Paths in an archive are relative to the folder where it is unpacked.
fn head(path: &str, mode: u32) -> NewcBuilder {
    NewcBuilder::new(path.trim_start_matches('/')).mode(mode)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use cpio::NewcReader;

    use super::{device, directory, file};

    #[test]
    fn an_archive_is_what_the_kernel_expects() {
        let entries = [
            directory("/bin"),
            file("/bin/a", b"hello".into()),
            device("/dev/console", 5, 1),
        ];
        let written = cpio::write_cpio(entries.into_iter(), Vec::new()).expect("memory takes it");
        assert_eq!(written.len() % 4, 0);
        let mut rest = &written[..];
        for (name, mode, size, device) in [
            ("bin", 0o040_755, 0, (0, 0)),
            ("bin/a", 0o100_755, 5, (0, 0)),
            ("dev/console", 0o020_600, 0, (5, 1)),
            ("TRAILER!!!", 0, 0, (0, 0)),
        ] {
            let reader = NewcReader::new(rest).expect("an entry is here");
            let entry = reader.entry();
            assert_eq!((entry.name(), entry.mode()), (name, mode));
            assert_eq!((entry.file_size(), entry.nlink()), (size, 1));
            assert_eq!((entry.rdev_major(), entry.rdev_minor()), device);
            rest = reader.finish().expect("it is complete");
        }
    }
}
