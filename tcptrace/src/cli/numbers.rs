//! Parsing numbers: durations, sizes and counts. Each has a range, which errors name.

use std::{ops::RangeInclusive, time::Duration};

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

/// A duration such as `30s`, `1m30s` or `0s`.
///
/// # Errors
/// Says what is accepted.
pub fn duration(text: &str) -> Result<Duration, String> {
    duration_from(Duration::ZERO, "0s", text)
}

/// A duration of at least a millisecond.
///
/// # Errors
/// Says what is accepted.
pub fn interval(text: &str) -> Result<Duration, String> {
    duration_from(Duration::from_millis(1), "1ms", text)
}

fn duration_from(least: Duration, least_name: &str, text: &str) -> Result<Duration, String> {
    let (longest, longest_name) = LONGEST;
    match humantime::parse_duration(text) {
        Ok(duration) if (least..=longest).contains(&duration) => Ok(duration),
        // A number that humantime has no room for is too long, too.
        Ok(_) | Err(humantime::DurationError::NumberOverflow) => Err(format!(
            "give a duration from {least_name} to {longest_name}"
        )),
        Err(error) => Err(format!(
            "{error}; give a number and a unit, such as 500ms, 30s, 5min, 1h30m"
        )),
    }
}

/// A parser of numbers in this range.
pub fn count(range: RangeInclusive<u32>) -> impl Fn(&str) -> Result<u32, String> + Clone {
    move |text| {
        let number = text.parse().ok();
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| format!("give a number from {} to {}", range.start(), range.end()))
    }
}

/// A number of bytes, with a unit or without: `4096`, `64KiB`, `16M`, `1GiB`.
///
/// # Errors
/// Says what is accepted.
pub fn size(text: &str) -> Result<u64, String> {
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
        format!("give a number of bytes from 1 to {largest_name}, such as 4096, 64KiB, 16MiB, 1GiB")
    })
}

/// The size of a ring buffer: what the kernel takes.
///
/// # Errors
/// Says what is accepted.
pub fn buffer(text: &str) -> Result<u32, String> {
    let bytes = size(text).map_or(0, |bytes| u32::try_from(bytes).unwrap_or(0));
    if !bytes.is_power_of_two() || !(64 << 10..=1 << 30).contains(&bytes) {
        return Err("give a power of 2 from 64KiB to 1GiB, such as 16MiB".into());
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
        for text in ["30", "", "soon", "-1s"] {
            let error = duration(text).expect_err(text);
            assert!(error.contains("30s"), "{error}");
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
                Err("give a duration from 0s to 730days".into()),
                "{text}"
            );
            assert_eq!(
                some,
                Err("give a duration from 1ms to 730days".into()),
                "{text}"
            );
        }
        assert_eq!(
            interval("0s"),
            Err("give a duration from 1ms to 730days".into())
        );
        assert_eq!(size("1048576GiB"), Ok(LARGEST.0));
        for text in [
            "0",
            "1048577GiB",
            "18446744073709551615GiB",
            "99999999999999999999",
            "-1",
        ] {
            let error = size(text).expect_err(text);
            assert!(error.contains("from 1 to 1048576GiB"), "{error}");
            let error = buffer(text).expect_err(text);
            assert!(error.contains("from 64KiB to 1GiB"), "{error}");
        }
        let keep = count(0..=10_000);
        assert_eq!((keep("0"), keep("10000")), (Ok(0), Ok(10_000)));
        for text in ["10001", "18446744073709551615", "-1", "", "many"] {
            assert_eq!(
                keep(text),
                Err("give a number from 0 to 10000".into()),
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
