//! Checks that what somebody else chooses passes through the one place that makes it fit for a terminal: no other
//! file writes to standard error, and no message has a path as it is.

#![allow(missing_docs)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The only file that writes to standard error.
const MESSAGES: &str = "src/sink/messages.rs";

/// Words that write there, and the files that may have them besides.
const WRITES: [(&str, &[&str]); 4] = [
    // Whether it is a terminal.
    (
        "stderr()",
        &["src/command/session/mod.rs", "src/command/session/end.rs"],
    ),
    // A test that cannot run on this kernel.
    ("eprint", &["src/source/bpf/types/btf_tests.rs"]),
    ("println!", &["src/source/bpf/types/btf_tests.rs"]),
    ("dbg!", &[]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("the sources are there").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The lines of a file that are no comments, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(number, line)| (number + 1, line))
}

fn each_line(mut check: impl FnMut(&str, usize, &str)) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    assert!(files.len() > 100, "all files are found");
    for file in files {
        let text = fs::read_to_string(&file).expect("sources are text");
        let name = file.strip_prefix(root).expect("it is below");
        let name = name.to_str().expect("its name is text");
        for (number, line) in code(&text) {
            check(name, number, line);
        }
    }
}

#[test]
fn one_file_writes_to_standard_error() {
    let mut writes = 0;
    each_line(|file, number, line| {
        // clap's name for whether an error is one.
        let line = line.replace("use_stderr()", "");
        for (word, allowed) in WRITES.iter().filter(|(word, _)| line.contains(word)) {
            writes += usize::from(file == MESSAGES);
            assert!(
                file == MESSAGES || allowed.contains(&file),
                "{file}:{number}: {word} instead of `sink::messages`:\n{line}"
            );
        }
    });
    assert!(writes > 0, "{MESSAGES} does not write");
}

#[test]
fn messages_have_clean_paths() {
    each_line(|file, number, line| {
        let tells = ["src/command/", "src/sink/", "src/main.rs"];
        if tells.iter().any(|folder| file.starts_with(folder)) {
            assert!(
                !line.contains(".display()"),
                "{file}:{number}: `clean::path` makes a path fit for a terminal:\n{line}"
            );
        }
    });
}
