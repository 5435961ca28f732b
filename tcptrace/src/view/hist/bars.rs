//! Bars of a histogram.

use crate::view::hist::rows::Counts;

/// Parts of a character's width, in eighths.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// Draws bars that can be compared with each other.
pub struct Bars {
    /// The number that a full bar represents.
    most: u64,
    /// What each kind is drawn with: finished, reset, so far, at least.
    marks: [char; 4],
    kinds: [bool; 4],
    only_ascii: bool,
}

impl Bars {
    /// Bars whose longest represents `most`; `kinds` says which kinds occur: finished, reset, so far,
    /// at least.
    pub fn new(most: u64, kinds: [bool; 4], only_ascii: bool) -> Self {
        Self {
            most: most.max(1),
            marks: if only_ascii {
                ['#', '!', '.', '+']
            } else {
                ['█', '▓', '░', '▒']
            },
            kinds,
            only_ascii,
        }
    }

    /// What the marks mean, with these names of all kinds; nothing if there is only one.
    pub fn legend(&self, names: [&str; 4]) -> Vec<String> {
        let all = self.kinds.iter().zip(self.marks.iter().zip(names));
        let used: Vec<_> = all
            .filter(|(used, _)| **used)
            .map(|(_, (mark, name))| format!("{mark} {name}"))
            .collect();
        if used.len() > 1 { used } else { Vec::new() }
    }

    /// The bar of a row, at most `width` characters long. Even a small number is visible.
    pub fn bar(&self, counts: &Counts, width: usize) -> String {
        let finer = !self.only_ascii && self.kinds == [true, false, false, false];
        if finer {
            let eighths = scaled(counts.finished, self.most, width * 8);
            return "█".repeat(eighths / 8) + EIGHTHS[eighths % 8];
        }
        let all = [counts.finished, counts.reset, counts.open, counts.at_least];
        let mut lengths = all.map(|count| scaled(count, self.most, width));
        // Each part was rounded up, so the longest part is shortened.
        while lengths.iter().sum::<usize>() > width {
            let longest = lengths.iter_mut().max();
            let Some(longest) = longest.filter(|length| **length > 1) else {
                break;
            };
            *longest -= 1;
        }
        let marks = self.marks.into_iter().zip(lengths);
        marks
            .flat_map(|(mark, length)| std::iter::repeat_n(mark, length))
            .collect()
    }
}

/// The length of `count` if `most` has length `width`, rounded up.
fn scaled(count: u64, most: u64, width: usize) -> usize {
    let length = (u128::from(count) * width as u128).div_ceil(u128::from(most));
    usize::try_from(length).unwrap_or(width)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bars_of_one_kind_are_fine() {
        let bars = Bars::new(16, [true, false, false, false], false);
        let bar = |finished| {
            let counts = Counts {
                finished,
                ..Counts::default()
            };
            bars.bar(&counts, 2)
        };
        assert_eq!([0, 1, 8, 13, 16].map(bar), ["", "▏", "█", "█▋", "██"]);
    }

    proptest! {
        #[test]
        fn what_there_is_can_be_seen(
            finished in 0u64..1_000_000,
            reset in 0u64..1000,
            open in 0u64..100,
            at_least in 0u64..5,
            more in 0u64..1000,
            width in 4usize..80,
        ) {
            let counts = Counts { finished, reset, open, at_least };
            for only_ascii in [false, true] {
                let bars = Bars::new(counts.sum() + more, [true; 4], only_ascii);
                let bar = bars.bar(&counts, width);
                prop_assert!(bar.chars().count() <= width, "{}", bar);
                for (count, mark) in [finished, reset, open, at_least].into_iter().zip(bars.marks) {
                    prop_assert_eq!(count > 0, bar.contains(mark), "{}", bar);
                }
            }
        }
    }
}
