//! The names of durations and keys in histograms.

use crate::{
    model::hist::key::{Key, Part},
    view::{
        Page,
        layout::middle::middle,
        parts::{age::age, candidates, clean::clean},
    },
};

/// Columns that a name leaves to its number, and to what stands before it.
const BESIDE_NAME: usize = 16;
/// A name has so many columns on the narrowest terminal.
const SHORTEST_NAME: usize = 8;

/// A duration in two digits or as many as its whole units have, or, from a minute on, in its two largest units: `1.3ms`,
/// `72µs`, `106ms`, `31s`, `2m 03s`. A histogram's values are within 6.25 %: a whole number below 10 would not do.
pub fn short(ns: u64) -> String {
    rounded(ns, |unit| unit / 2)
}

/// The same of an upper bound: not less than it.
pub fn at_most(ns: u64) -> String {
    rounded(ns, |unit| unit - 1)
}

fn rounded(ns: u64, add: fn(u64) -> u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000, "µs"), (1_000_000, "ms"), (1_000_000_000, "s")];
    const MINUTE: u64 = 60 * 1_000_000_000;
    if !(1_000..MINUTE).contains(&ns) {
        return age(ns, true);
    }
    let rounded = |unit: u64| (ns + add(unit)) / unit;
    for (unit, name) in UNITS {
        let tenths = rounded(unit / 10);
        match rounded(unit) {
            _ if tenths < 100 && tenths % 10 > 0 => {
                return format!("{}.{}{name}", tenths / 10, tenths % 10);
            }
            whole @ ..1000 if unit < UNITS[2].0 || whole < 60 => return format!("{whole}{name}"),
            _ => {}
        }
    }
    age(MINUTE, true)
}

/// The parts of a histogram's key, each short enough for a line; unknown values are `?`.
pub fn key(by: &[Part], key: &Key, page: Page) -> Vec<String> {
    let or_unknown = |text: Option<String>| text.unwrap_or_else(|| "?".into());
    let most = page.width.map_or(usize::MAX, |width| {
        width.saturating_sub(BESIDE_NAME).max(SHORTEST_NAME)
    });
    let name = |text: &str, most| middle(&clean(text), most, page.ascii);
    let text = |text: &Option<std::sync::Arc<str>>| {
        or_unknown(text.as_deref().map(|text| name(text, most)))
    };
    let one_of = || {
        let half = (most / 2).saturating_sub(BESIDE_NAME).max(SHORTEST_NAME);
        let names = key.candidates.iter();
        let names: Vec<_> = names.map(|(pid, comm)| (*pid, name(comm, half))).collect();
        candidates::one_of(names.iter().map(|(pid, comm)| (*pid, &**comm)))
    };
    let parts = by.iter().filter_map(|part| {
        Some(match part {
            // The process has a name of its own.
            Part::Comm if by.contains(&Part::Pid) => return None,
            Part::Comm if !key.candidates.is_empty() => one_of(),
            Part::Comm => text(&key.comm),
            Part::Pid => match (key.pid, &key.comm) {
                (Some(pid), comm) => format!("{}[{pid}]", text(comm)),
                // Outside of the PID namespace.
                (None, comm @ Some(_)) => format!("{}[?]", text(comm)),
                (None, None) if !key.candidates.is_empty() => one_of(),
                (None, None) => "?".into(),
            },
            Part::Remote => or_unknown(key.remote.map(|remote| remote.to_string())),
            Part::Port => format!("port {}", or_unknown(key.port.map(|port| port.to_string()))),
            Part::Cgroup => text(&key.cgroup),
            Part::Netns => format!(
                "netns {}",
                or_unknown(key.netns.map(|inode| inode.to_string()))
            ),
            Part::Family => or_unknown(key.family.map(|family| family.name().into())),
        })
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_digits_tell_a_duration() {
        let cases = [
            (0, "0s"),
            (812, "<1µs"),
            (1_000, "1µs"),
            (1_315_999, "1.3ms"),
            (9_960_000, "10ms"),
            (72_400, "72µs"),
            (999_400, "999µs"),
            (999_500, "1ms"),
            (999_999_999, "1s"),
            (31_450_000_000, "31s"),
            (59_499_999_999, "59s"),
            (59_500_000_000, "1m"),
            (123_000_000_000, "2m 03s"),
        ];
        for (ns, text) in cases {
            assert_eq!(short(ns), text);
        }
        assert_eq!(at_most(1_310_000), "1.4ms");
        assert_eq!(at_most(72_001), "73µs");
    }

    proptest! {
        #[test]
        fn a_short_duration_is_close(ns in 1_000_u64..59_000_000_000) {
            let text = short(ns);
            let end = text.find(char::is_alphabetic).unwrap_or(0);
            let unit = match &text[end..] {
                "µs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                other => panic!("{other}"),
            };
            let told = text[..end].parse::<f64>().expect("a number") * unit;
            #[allow(clippy::cast_precision_loss)]
            let error = (told / ns as f64 - 1.0).abs();
            prop_assert!(error < 0.051, "{text} of {ns}");
        }
    }
}
