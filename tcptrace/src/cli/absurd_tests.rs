//! Command lines that nobody means: whatever is given, the answer is a request that can be carried out, or
//! an error.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt as _,
    time::{Duration, Instant, SystemTime},
};

use clap::{Arg, Command};
use proptest::{prelude::*, sample::select};

use super::{Ended, help, parse};
use crate::{
    model::request::{ReplayView, Request},
    view::parts::clean::clean,
};

/// Values that are at an edge of something, or far beyond it.
const ABSURD: [&str; 40] = [
    "",
    ",",
    ",,1",
    "-",
    "--",
    "-1",
    "0",
    "0s",
    "00",
    "1",
    "1ns",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "1e400",
    "NaN",
    "∞",
    "٣",
    "18446744073709551615s",
    "18446744073709551615ns",
    "9223372036854775807s",
    "584542046090years",
    "99999999999999999999years",
    "1year 1year",
    "18446744073709551615GiB",
    "17179869184GiB",
    "4GiB",
    "3GiB",
    "0GiB",
    "::/0",
    "0.0.0.0/0",
    "10.0.0.0/4294967296",
    "0::/..",
    "0::/",
    "/proc/self/ns/net/../../../..",
    "CLOSE_WAIT,CLOSE_WAIT",
    "\u{202e}\u{1b}]0;x\u{7}",
    "a\nb",
];

/// The words that lead to each command.
fn commands() -> Vec<(Vec<String>, Command)> {
    fn below(path: &[String], command: &Command, found: &mut Vec<(Vec<String>, Command)>) {
        // The command `help` has no options.
        if command.get_arguments().next().is_some() {
            found.push((path.to_vec(), command.clone()));
        }
        for one in command.get_subcommands() {
            let file = (command.get_name() == "replay").then(|| "-".to_owned());
            let path = path.iter().cloned().chain(file);
            let path: Vec<_> = path.chain([one.get_name().to_owned()]).collect();
            below(&path, one, found);
        }
    }
    let command = help::command();
    let mut found = Vec::new();
    below(&["tcptrace".to_owned()], &command, &mut found);
    found
}

/// A value: absurd, noise, not UTF-8, or very long.
fn value() -> impl Strategy<Value = OsString> {
    prop_oneof![
        6 => select(&ABSURD[..]).prop_map(OsString::from),
        1 => "\\PC{0,20}".prop_map(OsString::from),
        1 => prop::collection::vec(1_u8.., 0..12).prop_map(OsString::from_vec),
        1 => "[0-9]{1,40}(ns|ms|s|min|h|days|years|KiB|GiB|)".prop_map(OsString::from),
        1 => (1_usize..5000).prop_map(|length| "9".repeat(length).into()),
    ]
}

/// An option of the command as it is given, most often with as many values as it takes.
fn given(options: Vec<Arg>) -> impl Strategy<Value = Vec<OsString>> {
    let form = (select(options), value(), any::<bool>(), 0_u8..20);
    form.prop_map(|(option, value, joined, odd)| {
        let name = match (option.get_long(), option.get_short()) {
            (Some(long), _) => format!("--{long}"),
            (None, Some(short)) => format!("-{short}"),
            (None, None) => return vec![value],
        };
        let takes = option.get_action().takes_values() != (odd == 0);
        match (takes, joined) {
            (false, _) => vec![name.into()],
            (true, false) => vec![name.into(), value],
            (true, true) => {
                let mut both = OsString::from(name + "=");
                both.push(value);
                vec![both]
            }
        }
    })
}

fn line() -> impl Strategy<Value = Vec<OsString>> {
    select(commands()).prop_flat_map(|(path, command)| {
        let options: Vec<_> = command.get_arguments().cloned().collect();
        prop::collection::vec(given(options), 0..4).prop_map(move |given| {
            let path = path.iter().map(OsString::from);
            path.chain(given.into_iter().flatten()).collect()
        })
    })
}

/// The durations of a request, with which clocks are moved later.
fn durations(request: &Request) -> Vec<Duration> {
    let all = match request {
        Request::Stuck(one) => vec![Some(one.show.older_than), Some(one.interval), one.duration],
        Request::States(one) => vec![Some(one.interval), one.duration],
        Request::Log(one) => vec![one.duration],
        Request::Hist(one) => vec![one.interval, one.duration],
        Request::Replay(one) => match &one.view {
            ReplayView::Stuck(show) => vec![Some(show.older_than)],
            ReplayView::Log(_) | ReplayView::Hist(_) => Vec::new(),
        },
        Request::Doctor(_) => Vec::new(),
    };
    all.into_iter().flatten().collect()
}

/// Parses it, and uses what comes out.
fn check(line: Vec<OsString>) -> Result<(), TestCaseError> {
    match parse(line, clean) {
        Ok(cli) => {
            let request = cli.request();
            for duration in durations(&request) {
                prop_assert!(
                    Instant::now().checked_add(duration).is_some(),
                    "{duration:?}"
                );
                prop_assert!(
                    SystemTime::now().checked_add(duration).is_some(),
                    "{duration:?}"
                );
                prop_assert!(u64::try_from(duration.as_nanos()).is_ok(), "{duration:?}");
            }
            if let Request::Log(log) = &request
                && let Some(rotation) = log.rotation
            {
                prop_assert!(rotation.keep <= 10_000 && rotation.size > 0);
            }
            // What is shown is derived from it.
            let _ = format!("{request:?}");
        }
        Err(Ended::Help(help)) => prop_assert_eq!(help.exit_code(), 0),
        Err(Ended::Wrong(text)) => prop_assert!(text.contains("\n  try: "), "{text}"),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_option_takes_what_cannot_be_carried_out(line in line()) {
        check(line)?;
    }

    #[test]
    fn noise_is_an_error(words in prop::collection::vec(value(), 0..5)) {
        check([OsString::from("tcptrace")].into_iter().chain(words).collect())?;
    }
}

/// Each numeric option, with each absurd value alone: an error names the option, the value and what is accepted.
#[test]
fn an_error_names_option_value_and_range() {
    for (path, command) in commands() {
        let numeric = |option: &&Arg| {
            let names = option.get_value_names().unwrap_or_default();
            names
                .iter()
                .any(|name| ["N", "DURATION", "SIZE", "PORT", "PID"].contains(&name.as_str()))
        };
        for option in command.get_arguments().filter(numeric) {
            let name = format!("--{}", option.get_long().expect("it has a name"));
            for value in [
                "18446744073709551616",
                "-1",
                "999999999999999999999years",
                "x",
            ] {
                let given = format!("{name}={value}");
                let line = path.iter().cloned().chain([given]);
                let Err(Ended::Wrong(text)) = parse(line, clean) else {
                    panic!("{value} is in the range of {name}");
                };
                assert!(text.contains(&name) && text.contains(value), "{text}");
                let range = [" to ", "give a number and a unit"];
                assert!(range.iter().any(|words| text.contains(words)), "{text}");
            }
        }
    }
}
