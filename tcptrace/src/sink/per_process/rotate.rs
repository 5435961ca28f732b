//! Old files are renamed: `X.log` becomes `X.log.1`, that one `X.log.2`, and so on.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Renames the file at `path`, and removes the oldest file if there are too many.
///
/// # Errors
/// When a file cannot be renamed; then the file at `path` keeps its name.
pub fn put_aside(path: &Path, keep: u32) -> io::Result<()> {
    if keep == 0 {
        return existing(fs::remove_file(path));
    }
    for number in (1..keep).rev() {
        existing(fs::rename(old(path, number), old(path, number + 1)))?;
    }
    existing(fs::rename(path, old(path, 1)))
}

/// A missing file need not be renamed.
fn existing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn old(path: &Path, number: u32) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(format!(".{number}"));
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_old_ones_are_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("1-a.log");
        for content in ["a", "b", "c", "d"] {
            fs::write(&path, content).expect("a file");
            put_aside(&path, 2).expect("it can be renamed");
        }
        let read = |number| fs::read_to_string(old(&path, number)).ok();
        assert_eq!(read(1).as_deref(), Some("d"));
        assert_eq!(read(2).as_deref(), Some("c"));
        assert_eq!(read(3), None);
        assert!(!path.exists());
    }

    #[test]
    fn none_may_be_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("1-a.log");
        fs::write(&path, "a").expect("a file");
        put_aside(&path, 0).expect("it can be removed");
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 0);
    }
}
