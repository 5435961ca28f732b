//! Who may have put something into the folder.

use std::os::unix::fs::symlink;

use super::*;

fn refused(dir: &Path) -> String {
    let options = options(dir, "jsonl", None);
    let error = PerProcess::open(options, Box::new(Json::default()), Box::new(|_| {})).err();
    format!("{:#}", error.expect("it is refused"))
}

#[test]
fn nothing_that_was_planted_is_written_to() {
    let dir = tempfile::tempdir().expect("a folder");
    let outside = tempfile::tempdir().expect("a folder");
    let precious = outside.path().join("precious");
    fs::write(&precious, "precious").expect("a file");
    for name in [
        "index.jsonl.new",
        "unknown.jsonl",
        "others.jsonl",
        "7-a.jsonl",
    ] {
        symlink(&precious, dir.path().join(name)).expect("a link");
    }
    fs::hard_link(&precious, dir.path().join("8-a.jsonl")).expect("another name");
    let (mut folder, _) = open(dir.path(), None);
    for pid in [7, 8, 9] {
        take(&mut folder, &started(pid, "a", 1));
    }
    take(&mut folder, &Record::Loss(fixtures::loss()));
    let error = folder
        .finish()
        .expect_err("one line is missing")
        .to_string();
    assert!(
        error.contains("unknown.jsonl (it is a symbolic link)"),
        "{error}"
    );
    assert_eq!(fs::read(&precious).expect("a file"), b"precious");
    // Those names were taken.
    for name in ["7-a.2.jsonl", "8-a.2.jsonl", "9-a.jsonl"] {
        assert!(dir.path().join(name).is_file(), "{name}");
    }
    // A link that is the index itself.
    drop(folder);
    fs::remove_file(dir.path().join("index.jsonl")).expect("it is there");
    symlink(&precious, dir.path().join("index.jsonl")).expect("a link");
    assert!(refused(dir.path()).contains("symbolic link"));
}

#[test]
fn only_a_folder_of_our_own_is_written_into() {
    let parent = tempfile::tempdir().expect("a folder");
    let dir = parent.path().join("logs");
    drop(open(&dir, None));
    for mode in [0o770, 0o707, 0o1777] {
        fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).expect("it is ours");
        let error = refused(&dir);
        assert!(
            error.contains("others can write") && error.contains("try: "),
            "{error}"
        );
    }
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("it is ours");
    // Neither at its end nor in the middle is a link followed.
    symlink(&dir, parent.path().join("link")).expect("a link");
    for name in ["link", "link/deeper", "link/../logs"] {
        let error = refused(&parent.path().join(name));
        assert!(error.contains("link is a symbolic link"), "{error}");
        assert!(error.contains("try: --dir"), "{error}");
    }
    assert!(!dir.join("deeper").exists());
    fs::write(parent.path().join("file"), "").expect("a file");
    let error = refused(&parent.path().join("file"));
    assert!(
        error.contains("no regular file") || error.contains("no folder"),
        "{error}"
    );
}

#[test]
fn one_session_has_the_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = open(dir.path(), None);
    assert!(refused(dir.path()).contains("another session"));
    drop(first);
    open(dir.path(), None);
}
