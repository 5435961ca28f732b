//! Durations in text for people.

use std::time::Duration;

/// A duration in its two largest units, or with one decimal: `3d 4h`, `12m 4s`, `31s`, `2.5s`; `≥` before one that
/// is only a lower bound.
#[must_use]
pub fn age(ns: u64, exact: bool) -> String {
    const SECOND: u64 = 1_000_000_000;
    let unit = match ns / SECOND {
        0 => 1_000_000,
        1..10 => 100_000_000,
        10..3600 => SECOND,
        3600..86_400 => 60 * SECOND,
        _ => 3600 * SECOND,
    };
    let rounded = Duration::from_nanos(ns / unit * unit);
    let tenths = ns / 100_000_000;
    let text = match ns / SECOND {
        1..10 if !tenths.is_multiple_of(10) => format!("{}.{}s", tenths / 10, tenths % 10),
        _ => humantime::format_duration(rounded).to_string(),
    };
    let text = if rounded.is_zero() {
        "0ms".into()
    } else {
        text
    };
    if exact { text } else { format!("≥{text}") }
}

/// A duration between two bounds, of which the upper one may not be known: `31s` if both read the same,
/// `2.5–36s`, `301ms–1.2s`, `≥2.5s`.
#[must_use]
pub fn age_between(at_least_ns: u64, at_most_ns: Option<u64>) -> String {
    let Some(at_most_ns) = at_most_ns else {
        return age(at_least_ns, false);
    };
    let (low, high) = (age(at_least_ns, true), age(at_most_ns, true));
    if low == high {
        return low;
    }
    // The unit once, if it is the same.
    let number = |text: &str| text.trim_end_matches(char::is_alphabetic).len();
    let is_one = |text: &str| !text.contains(' ');
    let same = is_one(&low) && is_one(&high) && low[number(&low)..] == high[number(&high)..];
    let low = if same { &low[..number(&low)] } else { &low };
    format!("{low}–{high}")
}

/// Appends a duration to a line in the same form, or in µs if it is shorter than 1 ms. Digits are
/// written by hand for speed: each line of a log has a duration.
pub fn append(out: &mut Vec<u8>, ns: u64) {
    const SECOND: u64 = 1_000_000_000;
    const DAY: u64 = 86_400 * SECOND;
    let (large, large_unit, small, small_unit) = match ns {
        0..1_000_000 => (ns / 1000, "µs", 0, ""),
        1_000_000..SECOND => (ns / 1_000_000, "ms", 0, ""),
        DAY.. => return out.extend_from_slice(age(ns, true).as_bytes()),
        _ => match ns / SECOND {
            seconds @ 0..10 => {
                let mut digits = itoa::Buffer::new();
                out.extend_from_slice(digits.format(seconds).as_bytes());
                let tenth = ns % SECOND / 100_000_000;
                if tenth > 0 {
                    out.push(b'.');
                    out.extend_from_slice(digits.format(tenth).as_bytes());
                }
                return out.push(b's');
            }
            seconds @ 10..60 => (seconds, "s", 0, ""),
            seconds @ 60..3600 => (seconds / 60, "m", seconds % 60, "s"),
            seconds => (seconds / 3600, "h", seconds % 3600 / 60, "m"),
        },
    };
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(digits.format(large).as_bytes());
    out.extend_from_slice(large_unit.as_bytes());
    if small > 0 {
        out.push(b' ');
        out.extend_from_slice(digits.format(small).as_bytes());
        out.extend_from_slice(small_unit.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{age, age_between, append};

    fn appended(ns: u64) -> String {
        let mut out = Vec::new();
        append(&mut out, ns);
        String::from_utf8(out).expect("digits and units")
    }

    #[test]
    fn short_ones_are_in_microseconds() {
        assert_eq!(appended(999), "0µs");
        assert_eq!(appended(812_999), "812µs");
        assert_eq!(appended(3_000_000), "3ms");
        assert_eq!(appended(2_512_000_000), "2.5s");
    }

    proptest! {
        #[test]
        fn longer_ones_are_the_same_in_both_forms(
            ns in prop_oneof![
                1_000_000..20_000_000_000_u64,
                1_000_000..8_000_000_000_000_u64,
                1_000_000..200_000_000_000_000_u64,
            ],
        ) {
            prop_assert_eq!(appended(ns), age(ns, true));
        }
    }

    #[test]
    fn shows_two_units() {
        let ms = |ms: u64| age(ms * 1_000_000, true);
        assert_eq!(ms(0), "0ms");
        assert_eq!(ms(31), "31ms");
        assert_eq!(ms(2512), "2.5s");
        assert_eq!(ms(3042), "3s");
        assert_eq!(ms(31_999), "31s");
        assert_eq!(ms(724_000), "12m 4s");
        assert_eq!(ms(3 * 3_600_000 + 125_000), "3h 2m");
        assert_eq!(ms(76 * 3_600_000 + 59 * 60_000), "3days 4h");
    }

    #[test]
    fn bounds_that_read_the_same_are_one() {
        const MS: u64 = 1_000_000;
        assert_eq!(age_between(31_200 * MS, Some(31_900 * MS)), "31s");
        assert_eq!(age_between(2500 * MS, Some(36_000 * MS)), "2.5–36s");
        assert_eq!(age_between(301 * MS, Some(323 * MS)), "301–323ms");
        assert_eq!(age_between(301 * MS, Some(2500 * MS)), "301ms–2.5s");
        assert_eq!(age_between(61_000 * MS, Some(62_000 * MS)), "1m 1s–1m 2s");
        assert_eq!(age_between(2500 * MS, None), "≥2.5s");
    }

    #[test]
    fn marks_a_lower_bound() {
        assert_eq!(age(31_000_000_000, false), "≥31s");
    }
}
