//! A histogram as rows that begin at 1, 2, 5, 10, …: each row consists of a few whole buckets.

use tcptrace_common::{Ending, LONGEST_NS, SHORTEST_NS};

use crate::model::hist::{durations::Spread, histogram::Histogram};

/// More consecutive empty rows than this are shown as a gap.
const MOST_EMPTY: usize = 2;

/// Durations of one row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Stays whose beginning and ordinary end were seen.
    pub finished: u64,
    /// Stays whose beginning was seen, and that a reset ended.
    pub reset: u64,
    /// Stays that have not ended.
    pub open: u64,
    /// Stays that began before the start, ended or not.
    pub at_least: u64,
}

impl Counts {
    /// All of them.
    pub fn sum(&self) -> u64 {
        self.finished + self.reset + self.open + self.at_least
    }
}

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// Durations of at least `from_ns`.
    Counts {
        /// In ns.
        from_ns: u64,
        /// How many.
        counts: Counts,
    },
    /// Several empty rows.
    Nothing,
}

/// The beginnings of rows, in ns.
fn beginnings() -> impl DoubleEndedIterator<Item = u64> {
    let decades = (0..12).map(|decade| SHORTEST_NS * 10u64.pow(decade));
    let rows = decades.flat_map(|base| [base, base * 2, base * 5]);
    [0].into_iter().chain(rows).chain([LONGEST_NS])
}

/// The rows from the first to the last that is not empty.
pub fn rows(spread: &Spread) -> Vec<Row> {
    let ends = beginnings().skip(1).map(Some).chain([None]);
    let rows = beginnings().zip(ends).map(|(from_ns, to_ns)| {
        let between = |durations: &Histogram| durations.between(from_ns, to_ns);
        let resets = [Ending::Reset, Ending::ResetStillOpen].map(|ending| spread.ended(ending));
        let before = [spread.closed(), resets[0], resets[1]].map(|ended| between(&ended.at_least));
        let counts = Counts {
            finished: between(&spread.closed().exact),
            reset: resets.iter().map(|ended| between(&ended.exact)).sum(),
            open: between(&spread.open),
            at_least: before.iter().sum::<u64>() + between(&spread.open_at_least),
        };
        (from_ns, counts)
    });
    let all: Vec<_> = rows.collect();
    let used = |(_, counts): &(u64, Counts)| counts.sum() > 0;
    let first = all.iter().position(used).unwrap_or(0);
    let end = all.iter().rposition(used).map_or(0, |last| last + 1);
    let mut rows = Vec::new();
    for alike in all[first..end].chunk_by(|one, other| used(one) == used(other)) {
        if alike.len() > MOST_EMPTY && !used(&alike[0]) {
            rows.push(Row::Nothing);
            continue;
        }
        rows.extend(alike.iter().map(|(from_ns, counts)| Row::Counts {
            from_ns: *from_ns,
            counts: *counts,
        }));
    }
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::transition::StateDuration;

    fn spread(finished: &[u64], open: &[u64]) -> Spread {
        let mut spread = Spread::default();
        for ns in finished {
            spread.end(Ending::Closed, StateDuration::Exact(*ns));
        }
        open.iter().for_each(|ns| spread.open.add(*ns));
        spread
    }

    fn counts(from_ns: u64, finished: u64, open: u64) -> Row {
        let counts = Counts {
            finished,
            reset: 0,
            open,
            at_least: 0,
        };
        Row::Counts { from_ns, counts }
    }

    #[test]
    fn gaps_are_told_and_long_ones_cut() {
        let rows = rows(&spread(&[1_200, 2_000, 9_999], &[3_000_000]));
        let expected = [
            counts(1_000, 1, 0),
            counts(2_000, 1, 0),
            counts(5_000, 1, 0),
            Row::Nothing,
            counts(2_000_000, 0, 1),
        ];
        assert_eq!(rows, expected);
        assert_eq!(
            super::rows(&spread(&[1_200, 5_000], &[])),
            [
                counts(1_000, 1, 0),
                counts(2_000, 0, 0),
                counts(5_000, 1, 0)
            ]
        );
        assert_eq!(super::rows(&Spread::default()), []);
    }

    proptest! {
        #[test]
        fn nothing_falls_between_rows(durations in prop::collection::vec(any::<u64>(), 0..50)) {
            let rows = rows(&spread(&durations, &[]));
            let all: u64 = rows.iter().map(|row| match row {
                Row::Counts { counts, .. } => counts.sum(),
                Row::Nothing => 0,
            }).sum();
            prop_assert_eq!(all, durations.len() as u64);
        }
    }
}
