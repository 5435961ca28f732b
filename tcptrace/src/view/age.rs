//! Durations as people read them.

use std::time::Duration;

/// A duration in its two largest units: `3d 4h`, `12m 4s`, `31s`, `2s 500ms`; `≥` before one that
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
    let text = humantime::format_duration(rounded).to_string();
    let text = if rounded.is_zero() {
        "0ms".into()
    } else {
        text
    };
    if exact { text } else { format!("≥{text}") }
}

#[cfg(test)]
mod tests {
    use super::age;

    #[test]
    fn shows_two_units() {
        let ms = |ms: u64| age(ms * 1_000_000, true);
        assert_eq!(ms(0), "0ms");
        assert_eq!(ms(31), "31ms");
        assert_eq!(ms(2512), "2s 500ms");
        assert_eq!(ms(31_999), "31s");
        assert_eq!(ms(724_000), "12m 4s");
        assert_eq!(ms(3 * 3_600_000 + 125_000), "3h 2m");
        assert_eq!(ms(76 * 3_600_000 + 59 * 60_000), "3days 4h");
    }

    #[test]
    fn marks_a_lower_bound() {
        assert_eq!(age(31_000_000_000, false), "≥31s");
    }
}
