use unicode_width::UnicodeWidthStr as _;

use super::*;
use crate::cli::{Ended, parse, wrong::tree};

/// The words that lead to each command, as they are typed.
fn paths() -> Vec<Vec<String>> {
    let command = command();
    let typed = |words: String| -> Vec<String> {
        let words = words.replace("FILE", "leak.jsonl.zst");
        words.split(' ').map(ToOwned::to_owned).collect()
    };
    let all = tree::all(&command).into_iter();
    let all = all.map(|(words, _)| typed(words));
    [Vec::new()].into_iter().chain(all).collect()
}

fn help(path: &[String], flag: &str) -> String {
    let line = ["tcptrace".to_owned()].into_iter().chain(path.to_vec());
    match parse(line.chain([flag.to_owned()]), str::to_owned) {
        Err(Ended::Help(help)) => help.render().to_string(),
        other => panic!("{path:?} {flag}: {other:?}"),
    }
}

/// Command lines in a text: those that begin a line, and those of `commands:` and `try:` in it.
pub fn examples(text: &str) -> Vec<Vec<String>> {
    let begins = |line: &&str| line.starts_with("  ");
    let lines = text.lines().filter(begins).filter_map(|line| {
        // A comment stands behind a gap, what reads the output behind a bar.
        let line = line.trim_start();
        let line = match line.split_once(" | ") {
            Some((before, after)) if before.contains("tcptrace") => {
                let _ = after;
                before
            }
            Some((_, after)) => after,
            None => line,
        };
        let line = line.strip_prefix("sudo ").unwrap_or(line);
        let line = line.split("  ").next()?;
        line.starts_with("tcptrace").then(|| {
            let words = line.split(' ').map(ToOwned::to_owned);
            words.collect::<Vec<_>>()
        })
    });
    lines.collect()
}

#[test]
fn no_line_is_wider_than_80() {
    for path in paths() {
        for flag in ["-h", "--help"] {
            let text = help(&path, flag);
            for line in text.lines() {
                assert!(line.width() <= WIDEST, "{path:?} {flag}: {line}");
            }
        }
    }
}

#[test]
fn the_short_help_is_one_screen() {
    for path in paths() {
        let text = help(&path, "-h");
        assert!(text.lines().count() <= 24, "{path:?}:\n{text}");
        assert!(text.contains("--help"), "{path:?}:\n{text}");
    }
    let path: Vec<_> = paths();
    let all: Vec<_> = path.iter().map(|path| help(path, "-h")).collect();
    insta::assert_snapshot!(all.join("\n--------\n"));
}

#[test]
fn the_long_help_has_all_options_below_what_they_are_about() {
    insta::assert_snapshot!(help(&[], "--help"));
    for (words, command) in tree::all(&command()) {
        for option in command.get_arguments() {
            let id = option.get_id().as_str();
            if option.is_positional() {
                continue;
            }
            let heading = heading_of(id);
            assert!(heading.is_some(), "{words} {id}");
        }
        let path = words.replace("FILE", "-");
        let path: Vec<_> = path.split(' ').map(ToOwned::to_owned).collect();
        let text = help(&path, "--help");
        for option in command.get_arguments() {
            if let Some(long) = option.get_long() {
                assert!(text.contains(&format!("--{long}")), "{words} --{long}");
            }
        }
        let at = |heading: &&str| text.find(&format!("\n{heading}:"));
        let order: Vec<_> = HEADINGS.iter().filter_map(at).collect();
        assert!(order.is_sorted(), "{words}: {order:?}");
        assert!(!text.contains("\nOptions:"), "{words}:\n{text}");
    }
}

/// Each can be copied.
#[test]
fn every_example_is_a_command_line() {
    let mut count = 0;
    for path in paths() {
        for flag in ["-h", "--help"] {
            for example in examples(&help(&path, flag)) {
                let parsed = parse(&example, str::to_owned);
                assert!(parsed.is_ok(), "{path:?} {flag}: {example:?}: {parsed:?}");
                count += 1;
            }
        }
    }
    assert!(count > 60, "{count}");
}

#[test]
fn both_begin_with_the_order_of_an_incident() {
    for flag in ["-h", "--help"] {
        let text = help(&[], flag);
        let at = |example: &str| text.find(example).unwrap_or_else(|| panic!("{example}"));
        let order = [
            "sudo tcptrace  ",
            "sudo tcptrace --explain",
            "sudo tcptrace log --pid",
            "sudo tcptrace hist",
            "sudo tcptrace log --json -o leak.jsonl.zst",
            "tcptrace replay leak.jsonl.zst",
        ]
        .map(at);
        assert!(order.is_sorted(), "{order:?}");
    }
}
