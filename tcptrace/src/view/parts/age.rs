//! Durations in text for people.

use crate::view::parts::number;

/// A duration in at most two units: `48µs`, `301ms`, `2.5s`, `31s`, `2m 06s`, `3h 05m`, `4d 11h`; `≥` before one that
/// is only a lower bound. It is rounded down.
#[must_use]
pub fn age(ns: u64, exact: bool) -> String {
    let mut out = Vec::new();
    append(&mut out, ns);
    let text = String::from_utf8_lossy(&out);
    if exact {
        text.into()
    } else {
        format!("≥{text}")
    }
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

/// Appends a duration to a line in the form of [`age`]. Digits are written by hand for speed: each line of a log has
/// a duration.
pub fn append(out: &mut Vec<u8>, ns: u64) {
    const MS: u64 = 1_000_000;
    const SECOND: u64 = 1000 * MS;
    const HOUR: u64 = 3600 * SECOND;
    const DAY: u64 = 24 * HOUR;
    let seconds = ns / SECOND;
    match ns {
        0 => out.extend_from_slice(b"0s"),
        1..1000 => out.extend_from_slice("<1µs".as_bytes()),
        1000..MS => one(out, ns / 1000, "µs"),
        MS..SECOND => one(out, ns / MS, "ms"),
        _ if seconds < 10 => {
            number::append(out, seconds);
            let tenth = ns % SECOND / (100 * MS);
            if tenth > 0 {
                out.push(b'.');
                number::append(out, tenth);
            }
            out.push(b's');
        }
        _ if seconds < 60 => one(out, seconds, "s"),
        _ if ns < HOUR => two(out, (seconds / 60, b'm'), (seconds % 60, b's')),
        _ if ns < DAY => two(out, (seconds / 3600, b'h'), (seconds % 3600 / 60, b'm')),
        _ => two(
            out,
            (seconds / 86_400, b'd'),
            (seconds % 86_400 / 3600, b'h'),
        ),
    }
}

fn one(out: &mut Vec<u8>, count: u64, unit: &str) {
    number::append(out, count);
    out.extend_from_slice(unit.as_bytes());
}

/// The smaller unit in two digits, so that ages below each other can be compared; none of it is left out.
fn two(out: &mut Vec<u8>, (large, large_unit): (u64, u8), (small, small_unit): (u64, u8)) {
    number::append(out, large);
    out.push(large_unit);
    if let Some(small) = u32::try_from(small).ok().filter(|small| *small > 0) {
        out.push(b' ');
        number::append_padded(out, 2, small);
        out.push(small_unit);
    }
}

#[cfg(test)]
mod tests {
    use super::{age, age_between};

    const MS: u64 = 1_000_000;

    #[test]
    fn has_two_units_at_most() {
        let texts = [
            (0, "0s"),
            (999, "<1µs"),
            (812_999, "812µs"),
            (31 * MS, "31ms"),
            (2512 * MS, "2.5s"),
            (3042 * MS, "3s"),
            (31_999 * MS, "31s"),
            (120_000 * MS, "2m"),
            (724_000 * MS, "12m 04s"),
            (3_599_999 * MS, "59m 59s"),
            (3 * 3_600_000 * MS + 125_000 * MS, "3h 02m"),
            (76 * 3_600_000 * MS + 59 * 60_000 * MS, "3d 04h"),
            (u64::MAX, "213503d 23h"),
        ];
        for (ns, text) in texts {
            assert_eq!(age(ns, true), text);
        }
        assert_eq!(age(31_000 * MS, false), "≥31s");
    }

    #[test]
    fn bounds_that_read_the_same_are_one() {
        assert_eq!(age_between(31_200 * MS, Some(31_900 * MS)), "31s");
        assert_eq!(age_between(2500 * MS, Some(36_000 * MS)), "2.5–36s");
        assert_eq!(age_between(301 * MS, Some(323 * MS)), "301–323ms");
        assert_eq!(age_between(301 * MS, Some(2500 * MS)), "301ms–2.5s");
        assert_eq!(age_between(61_000 * MS, Some(62_000 * MS)), "1m 01s–1m 02s");
        assert_eq!(age_between(2500 * MS, None), "≥2.5s");
    }
}
