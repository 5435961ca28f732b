//! Old files are renamed: `X.log` becomes `X.log.1`, that one `X.log.2`, and so on.

use std::io;

use crate::sink::open::folder::Folder;

/// Renames the file with this name, and removes the oldest file if there are too many. Only files that are
/// there are touched, from the first up to a gap.
///
/// # Errors
/// When a file cannot be renamed; then the file keeps its name.
pub fn put_aside(folder: &Folder, name: &str, keep: u32) -> io::Result<()> {
    if keep == 0 {
        return existing(folder.remove(name));
    }
    let old = |number| format!("{name}.{number}");
    let there = (1..keep)
        .take_while(|number| folder.has(&old(*number)))
        .count();
    let there = u32::try_from(there).unwrap_or(u32::MAX);
    for number in (1..=there).rev() {
        existing(folder.rename(&old(number), &old(number + 1)))?;
    }
    existing(folder.rename(name, &old(1)))
}

/// Takes back what [`put_aside`] did to the newest file, if nothing has its name.
pub fn take_back(folder: &Folder, name: &str) {
    if !folder.has(name) {
        // If it fails, the file is written under its new name.
        let _ = folder.rename(&format!("{name}.1"), name);
    }
}

/// A missing file need not be renamed.
fn existing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_newest_old_ones_are_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(dir.path()).expect("it opens");
        let path = dir.path().join("1-a.log");
        for content in ["a", "b", "c", "d"] {
            fs::write(&path, content).expect("a file");
            put_aside(&folder, "1-a.log", 2).expect("it can be renamed");
        }
        let read = |number| fs::read_to_string(dir.path().join(format!("1-a.log.{number}"))).ok();
        assert_eq!(read(1).as_deref(), Some("d"));
        assert_eq!(read(2).as_deref(), Some("c"));
        assert_eq!(read(3), None);
        assert!(!path.exists());
        take_back(&folder, "1-a.log");
        assert_eq!(fs::read_to_string(&path).ok().as_deref(), Some("d"));
    }

    #[test]
    fn none_may_be_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(dir.path()).expect("it opens");
        let path = dir.path().join("1-a.log");
        fs::write(&path, "a").expect("a file");
        put_aside(&folder, "1-a.log", 0).expect("it can be removed");
        assert!(!path.exists());
    }

    #[test]
    fn only_what_is_there_is_renamed() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(dir.path()).expect("it opens");
        let path = dir.path().join("1-a.log");
        for content in ["a", "b"] {
            fs::write(&path, content).expect("a file");
            // It would take minutes to try all of them.
            put_aside(&folder, "1-a.log", u32::MAX).expect("it can be renamed");
        }
        let read = |number| fs::read_to_string(dir.path().join(format!("1-a.log.{number}"))).ok();
        assert_eq!(read(2).as_deref(), Some("a"));
        assert_eq!(read(3), None);
    }
}
