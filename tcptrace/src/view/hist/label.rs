//! The names of durations and keys in histograms.

use crate::{
    model::hist::key::{Key, Part},
    view::parts::{age::age, candidates, clean::clean},
};

/// A duration in three digits, or, from a minute on, in its two largest units: `812ns`, `1.31ms`,
/// `31.4s`, `2m 3s`.
pub fn short(ns: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (1, "ns"),
        (1_000, "µs"),
        (1_000_000, "ms"),
        (1_000_000_000, "s"),
    ];
    if ns >= 60 * 1_000_000_000 {
        return age(ns, true);
    }
    let larger = UNITS.iter().rev().find(|(unit, _)| ns >= *unit);
    let (unit, name) = larger.unwrap_or(&UNITS[0]);
    let (whole, thousandths) = (ns / unit, ns % unit * 1000 / unit);
    match whole {
        _ if *unit == 1 => format!("{whole}{name}"),
        0..10 => format!("{whole}.{:02}{name}", thousandths / 10),
        10..100 => format!("{whole}.{}{name}", thousandths / 100),
        _ => format!("{whole}{name}"),
    }
}

/// A round duration in one unit: `1µs`, `200ms`, `5000s`.
pub fn round(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => format!("{}µs", ns / 1_000),
        1_000_000..1_000_000_000 => format!("{}ms", ns / 1_000_000),
        _ => format!("{}s", ns / 1_000_000_000),
    }
}

/// The key of a histogram, in the order of its parts; unknown values are `?`.
pub fn key(by: &[Part], key: &Key) -> String {
    let or_unknown = |text: Option<String>| text.unwrap_or_else(|| "?".into());
    let text = |text: &Option<std::sync::Arc<str>>| or_unknown(text.as_deref().map(clean));
    let one_of = || candidates::one_of_key(&key.candidates);
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
    parts.collect::<Vec<_>>().join("  ")
}

/// The line, wrapped between words into as many lines as needed, with its indentation. A word that
/// is too long is cut off.
pub fn wrapped(line: &str, width: usize) -> Vec<String> {
    if line.chars().count() <= width {
        return vec![line.to_owned()];
    }
    let indent: String = line.chars().take_while(|c| *c == ' ').take(width).collect();
    let mut lines = vec![indent.clone()];
    let (mut length, mut empty) = (indent.len(), true);
    for word in line.trim_start().split(' ') {
        let word_length = word.chars().count();
        if !empty && length + 1 + word_length > width {
            lines.push(indent.clone());
            (length, empty) = (indent.len(), true);
        }
        if let Some(last) = lines.last_mut() {
            if !empty {
                last.push(' ');
                length += 1;
            }
            last.extend(word.chars().take(width - length.min(width)));
            length += word_length;
        }
        empty = false;
    }
    lines
        .iter()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn three_digits_tell_a_duration() {
        let cases = [
            (0, "0ns"),
            (812, "812ns"),
            (1_000, "1.00µs"),
            (1_315_999, "1.31ms"),
            (31_450_000_000, "31.4s"),
            (999_999_999, "999ms"),
            (123_000_000_000, "2m 03s"),
        ];
        for (ns, text) in cases {
            assert_eq!(short(ns), text);
        }
    }

    #[test]
    fn long_lines_go_on_below() {
        assert_eq!(wrapped("  one two three", 9), ["  one two", "  three"]);
        assert_eq!(wrapped("one two", 7), ["one two"]);
        assert_eq!(wrapped("enormous", 3), ["eno"]);
    }

    #[test]
    fn round_ones_have_one_unit() {
        let cases = [
            (1_000, "1µs"),
            (200_000_000, "200ms"),
            (5_000_000_000_000, "5000s"),
        ];
        for (ns, text) in cases {
            assert_eq!(round(ns), text);
        }
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_it_may_be(text in " {0,4}\\PC{0,60}", width in 1usize..70) {
            let lines = wrapped(&text, width);
            prop_assert!(lines.iter().all(|line| line.chars().count() <= width), "{:?}", lines);
        }
    }
}
