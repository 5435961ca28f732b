//! Parsing numbers: durations, sizes and counts. Each has a range, which errors name.

use std::{ops::RangeInclusive, time::Duration};

use humantime::DurationError;

use crate::cli::wrong::refused::Refused;

/// The longest duration. Any clock can be moved by it, and the timer wheel of the event loop has room for a
/// little more than two years.
const LONGEST: (Duration, &str) = (Duration::from_secs(2 * 365 * 24 * 3600), "730days");
/// The largest file after which a new one begins: more than any file system takes.
const LARGEST: (u64, &str) = (1 << 50, "1048576GiB");

/// How many sockets the kernel side may have room for. The tracepoint hook takes the memory for all of them at
/// the start, about 4 GiB for the most; so many sockets would themselves take the kernel ten times as much.
pub const MAX_SOCKETS: RangeInclusive<u32> = 1..=20_000_000;
/// How many of something may be shown, at least one.
pub const SHOWN: RangeInclusive<u32> = 1..=1_000_000_000;
/// How many of something, also none.
pub const ANY: RangeInclusive<u32> = 0..=1_000_000_000;

/// Examples in errors.
const DURATIONS: &str = "give a number and a unit, such as 500ms, 30s, 5min, 1h30m";
/// The least time between looks or reports: a look alone takes milliseconds.
const SHORTEST: (Duration, &str) = (Duration::from_millis(10), "10ms");

/// A duration such as `30s`, `1m30s` or `0s`.
///
/// # Errors
/// Says what is accepted.
pub fn duration(text: &str) -> Result<Duration, Refused> {
    duration_from(Duration::ZERO, "0s", text)
}

/// A duration between two looks or reports.
///
/// # Errors
/// Says what is accepted.
pub fn interval(text: &str) -> Result<Duration, Refused> {
    let (shortest, shortest_name) = SHORTEST;
    let duration = duration_from(Duration::ZERO, shortest_name, text)?;
    if duration < shortest {
        return Err(Refused::value(
            format!(
                "a look itself takes milliseconds, so there is no pause between looks; an interval is from \
                 {shortest_name} to {}",
                LONGEST.1
            ),
            shortest_name,
        ));
    }
    Ok(duration)
}

fn duration_from(least: Duration, least_name: &str, text: &str) -> Result<Duration, Refused> {
    let (longest, longest_name) = LONGEST;
    let why = match humantime::parse_duration(text) {
        Ok(duration) if (least..=longest).contains(&duration) => return Ok(duration),
        // A number that humantime has no room for is too long, too.
        Ok(_) | Err(DurationError::NumberOverflow) => {
            return Err(Refused::value(
                format!("a duration is from {least_name} to {longest_name}"),
                longest_name,
            ));
        }
        Err(DurationError::UnknownUnit { unit, value, .. }) if unit.is_empty() => {
            format!("a duration needs a unit: {value} of what?")
        }
        Err(DurationError::UnknownUnit { unit, .. }) => format!(
            "there is no unit '{unit}': units are ns, us, ms, s, min, h, days, weeks, months, years"
        ),
        Err(DurationError::Empty) => "it is empty".to_owned(),
        Err(_) => "it is no duration".to_owned(),
    };
    Err(Refused::new(why, DURATIONS))
}

/// A parser of numbers in this range.
pub fn count(range: RangeInclusive<u32>) -> impl Fn(&str) -> Result<u32, Refused> + Clone {
    move |text| {
        let number = text.parse().ok();
        let (least, most) = (*range.start(), *range.end());
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                // What is shown may be without bounds in effect; what takes memory is not.
                let example = if most > *MAX_SOCKETS.end() {
                    20
                } else {
                    most / 20
                };
                let why = format!("it is no number from {least} to {most}");
                Refused::value(why, example.to_string())
            })
    }
}

/// A number of bytes, with a unit or without: `4096`, `64KiB`, `16M`, `1GiB`.
///
/// # Errors
/// Says what is accepted.
pub fn size(text: &str) -> Result<u64, Refused> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: Option<u64> = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kb" | "kib" => Some(1 << 10),
        "m" | "mb" | "mib" => Some(1 << 20),
        "g" | "gb" | "gib" => Some(1 << 30),
        _ => None,
    };
    let number = digits.parse::<u64>().ok();
    let bytes = number.and_then(|number| number.checked_mul(factor?));
    let (largest, largest_name) = LARGEST;
    let bytes = bytes.filter(|bytes| (1..=largest).contains(bytes));
    bytes.ok_or_else(|| {
        Refused::new(
            format!("it is no number of bytes from 1 to {largest_name}"),
            "give such as 4096, 64KiB, 16MiB, 1GiB",
        )
    })
}

/// The size of a ring buffer: what the kernel takes.
///
/// # Errors
/// Says what is accepted.
pub fn buffer(text: &str) -> Result<u32, Refused> {
    let bytes = size(text).map_or(0, |bytes| u32::try_from(bytes).unwrap_or(0));
    if !bytes.is_power_of_two() || !(64 << 10..=1 << 30).contains(&bytes) {
        let why = "it is no power of 2 from 64KiB to 1GiB";
        return Err(Refused::value(why, "16MiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for (text, why) in [
            ("30", "a duration needs a unit: 30 of what?"),
            ("", "it is empty"),
            ("soon", "it is no duration"),
            ("-1s", "it is no duration"),
            ("3 lunches", "there is no unit 'lunches': units are ns, "),
        ] {
            let error = duration(text).expect_err(text);
            assert!(error.why.starts_with(why), "{error}");
            assert!(error.advice("--x ").contains("30s"), "{error}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_told_with_the_range() {
        assert_eq!(duration("2years").is_ok(), duration("731days").is_ok());
        assert_eq!(duration("730days"), Ok(LONGEST.0));
        for text in [
            "731days",
            "18446744073709551615s",
            "99999999999999999999s",
            "9999999999years",
        ] {
            let (any, some) = (duration(text), interval(text));
            assert_eq!(
                any,
                Err(Refused::value(
                    "a duration is from 0s to 730days",
                    "730days"
                )),
                "{text}"
            );
            assert_eq!(
                some,
                Err(Refused::value(
                    "a duration is from 10ms to 730days",
                    "730days"
                )),
                "{text}"
            );
        }
        assert_eq!(interval("10ms"), Ok(Duration::from_millis(10)));
        for text in ["0s", "1ms", "9999us"] {
            let error = interval(text).expect_err(text);
            assert!(error.why.contains("from 10ms to 730days"), "{error}");
            assert_eq!(error.advice("--interval "), "--interval 10ms");
        }
        assert_eq!(size("1048576GiB"), Ok(LARGEST.0));
        for text in [
            "0",
            "1048577GiB",
            "18446744073709551615GiB",
            "99999999999999999999",
            "-1",
        ] {
            let error = size(text).expect_err(text);
            assert!(error.why.contains("from 1 to 1048576GiB"), "{error}");
            let error = buffer(text).expect_err(text);
            assert!(error.why.contains("from 64KiB to 1GiB"), "{error}");
        }
        let keep = count(0..=10_000);
        assert_eq!((keep("0"), keep("10000")), (Ok(0), Ok(10_000)));
        for text in ["10001", "18446744073709551615", "-1", "", "many"] {
            assert_eq!(
                keep(text),
                Err(Refused::value("it is no number from 0 to 10000", "500")),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_a_parser_panic(text in "\\PC{0,40}|[0-9]{1,30}[a-zA-Z]{0,5}") {
            let _ = (duration(&text), interval(&text), size(&text), buffer(&text));
        }
    }
}
