//! Durations in evidence, whose tenths of a second matter.

use crate::view::parts::age::age;

const MS: u64 = 1_000_000;
const TENTH: u64 = 100 * MS;
const SECOND: u64 = 10 * TENTH;
/// From here on tenths do not matter.
const MINUTE: u64 = 60 * SECOND;

/// What lies between two bounds, where a lower one of 0 and an upper one of `u64::MAX` are none: `38ms`,
/// `5.0s to 5.2s`, `at most 0.4s`, `at least 5.0s`.
pub fn between(least_ns: u64, most_ns: u64) -> String {
    if exact(least_ns) == exact(most_ns) {
        return exact(least_ns);
    }
    match (least_ns, most_ns) {
        (least_ns, u64::MAX) => format!("at least {}", tenths(least_ns)),
        (0, most_ns) => format!("at most {}", tenths(above(most_ns))),
        (least_ns, most_ns) => format!("{} to {}", tenths(least_ns), tenths(above(most_ns))),
    }
}

/// An age in a sentence: `31s` if both bounds read the same, `between 2.5s and 36s`, `at least 2.5s`.
pub fn ages(at_least_ns: u64, at_most_ns: Option<u64>) -> String {
    let least = age(at_least_ns, true);
    match at_most_ns.map(|ns| age(ns, true)) {
        None => format!("at least {least}"),
        Some(most) if most == least => least,
        Some(most) => format!("between {least} and {most}"),
    }
}

/// One duration.
pub fn exact(ns: u64) -> String {
    match ns {
        ..SECOND => format!("{}ms", ns / MS),
        _ => tenths(ns),
    }
}

fn tenths(ns: u64) -> String {
    match ns {
        ..TENTH => format!("{}ms", ns / MS),
        TENTH..MINUTE => format!("{}.{}s", ns / SECOND, ns % SECOND / TENTH),
        MINUTE.. => age(ns, true),
    }
}

/// An upper bound that is still one when it is cut to what is shown of it.
fn above(ns: u64) -> u64 {
    let step = if ns < TENTH { MS } else { TENTH };
    ns.div_ceil(step).saturating_mul(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_stay_bounds() {
        assert_eq!(between(0, 0), "0ms");
        assert_eq!(between(412 * MS, 412 * MS), "412ms");
        assert_eq!(between(5040 * MS, 5060 * MS), "5.0s");
        assert_eq!(between(5040 * MS, 5160 * MS), "5.0s to 5.2s");
        assert_eq!(between(0, 340 * MS), "at most 0.4s");
        assert_eq!(between(0, 4 * MS + 1), "at most 5ms");
        assert_eq!(between(38 * MS, 2 * SECOND), "38ms to 2.0s");
        assert_eq!(between(5 * SECOND, u64::MAX), "at least 5.0s");
        assert_eq!(between(90 * SECOND, 90 * SECOND), "1m 30s");
    }
}
