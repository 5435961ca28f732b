use std::os::unix::ffi::OsStringExt as _;

use super::{lines_tests::WRONG, value::example_of, *};
use crate::{
    cli::{Ended, parse},
    view::parts::clean::clean,
};

fn refusal(words: &str) -> String {
    let words = words.split(' ').filter(|word| !word.is_empty());
    let words = words.map(|word| if word == "''" { "" } else { word });
    let line = ["tcptrace"].into_iter().chain(words);
    match parse(line, clean) {
        Err(Ended::Wrong(text)) => text,
        other => panic!("{words:?}: {other:?}", words = other.is_ok()),
    }
}

/// Words of libraries that tell a reader nothing.
const JARGON: [&str; 14] = [
    "invalid digit",
    "error:",
    "unexpected argument",
    "unrecognized subcommand",
    "found in string",
    "time unit needed",
    "invalid value",
    "were not provided",
    "expected number",
    "invalid character",
    "ErrorKind",
    "subcommand",
    "no more were expected",
    "os error",
];

#[test]
fn errors_say_what_happened_why_and_what_to_try() {
    for (words, parts) in WRONG {
        let text = refusal(words);
        for part in *parts {
            assert!(text.contains(part), "{words}: {part:?} is not in\n{text}");
        }
        for jargon in JARGON {
            assert!(!text.contains(jargon), "{words}: {jargon:?} is in\n{text}");
        }
        assert_eq!(text.matches("\n  try: ").count(), 1, "{words}:\n{text}");
        assert!(
            text.lines().skip(1).all(|line| line.starts_with("  ")),
            "{text}"
        );
    }
    let all: Vec<_> = WRONG
        .iter()
        .map(|(words, _)| format!("$ tcptrace {words}\ntcptrace: {}", refusal(words)))
        .collect();
    insta::assert_snapshot!(all.join("\n\n"));
}

/// What is proposed is taken, with values for the names of values.
#[test]
fn what_is_to_be_tried_works() {
    for (words, _) in WRONG {
        let text = refusal(words);
        let advice = text.rsplit_once("try: ").expect("it advises").1;
        if !advice.starts_with("tcptrace ") {
            continue;
        }
        let line: Vec<String> = advice
            .replace("[=N]", "=1")
            .split(' ')
            .map(|word| match word.chars().all(|c| c.is_ascii_uppercase()) {
                true => example_of(word).to_owned(),
                false => word.to_owned(),
            })
            .collect();
        match parse(&line, clean) {
            Ok(_) | Err(Ended::Help(_)) => {}
            Err(Ended::Wrong(again)) => {
                // Of two that miss something the first may be proposed alone.
                assert!(again.contains(" needs "), "{words}: {advice}: {again}");
            }
        }
    }
}

#[test]
fn what_is_not_utf8_is_said() {
    let bytes = OsString::from_vec(b"a\xff".to_vec());
    let line = [OsString::from("tcptrace"), "--comm".into(), bytes];
    let Err(Ended::Wrong(text)) = parse(line, clean) else {
        panic!("it was taken");
    };
    assert!(
        text.starts_with("a\u{fffd}: not all of its bytes are UTF-8"),
        "{text}"
    );
    assert!(text.contains("\n  try: U+FFFD"), "{text}");
}

#[test]
fn a_value_is_refused_with_what_to_try() {
    let error = |reason: &str, advice: Option<&str>| UsageError::Value {
        option: "netns",
        value: "-x".into(),
        reason: reason.into(),
        more: vec!["one is green".into()],
        advice: advice.map(ToOwned::to_owned),
    };
    assert_eq!(
        of_usage(&error("there is none; give its number", None), clean),
        "--netns -x: there is none\n  one is green\n  try: give its number"
    );
    assert_eq!(
        of_usage(&error("there is none", Some("--netns green")), clean),
        "--netns -x: there is none\n  one is green\n  try: --netns green"
    );
    assert_eq!(
        of_usage(&error("there is none", None), clean),
        "--netns -x: there is none\n  one is green\n  try: without --netns"
    );
    let request = UsageError::Request {
        reason: "it is too much".into(),
        advice: "less".into(),
    };
    assert_eq!(of_usage(&request, clean), "it is too much\n  try: less");
}
