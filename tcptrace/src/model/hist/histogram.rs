//! Durations in buckets, and their statistics. `tcptrace_common::Bucket` defines the width of the
//! buckets.

use std::collections::BTreeMap;

use tcptrace_common::{Bucket, Decade};

/// The longest duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Longest {
    /// In ns.
    pub ns: u64,
    /// Whether the value is exact, or may be too large by up to the width of a bucket.
    pub exact: bool,
}

/// A quantile: a duration, and the bounds that it lies between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantile {
    /// The middle between the bounds, in ns: from 1 µs on, at most 6.25 % wrong.
    pub ns: u64,
    /// The lower bound, in ns.
    pub shortest_ns: u64,
    /// The upper bound, in ns.
    pub longest_ns: u64,
}

/// The number of durations of each length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: BTreeMap<Bucket, u64>,
    sum_ns: u64,
    longest: Option<Longest>,
}

impl Histogram {
    /// Counts a duration in ns.
    pub fn add(&mut self, ns: u64) {
        *self.counts.entry(Bucket::of(ns)).or_default() += 1;
        self.sum_ns = self.sum_ns.saturating_add(ns);
        self.lengthen(Longest { ns, exact: true });
    }

    /// Adds the kernel's counts for one decade on one CPU.
    pub fn add_decade(&mut self, number: u8, decade: &Decade) {
        for (slot, count) in (0..).zip(decade.counts) {
            if count > 0 {
                let bucket = Bucket {
                    decade: number,
                    slot,
                };
                *self.counts.entry(bucket).or_default() += count;
            }
        }
        self.sum_ns = self.sum_ns.saturating_add(decade.sum_ns);
        if decade.counts.iter().any(|count| *count > 0) {
            self.lengthen(Longest {
                ns: decade.max_ns,
                exact: true,
            });
        }
    }

    /// Adds another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.counts {
            *self.counts.entry(*bucket).or_default() += count;
        }
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        if let Some(longest) = other.longest {
            self.lengthen(longest);
        }
    }

    fn lengthen(&mut self, longest: Longest) {
        if self.longest.is_none_or(|before| before.ns < longest.ns) {
            self.longest = Some(longest);
        }
    }

    /// What has been counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.counts.clone();
        for (bucket, before) in &earlier.counts {
            if let Some(count) = counts.get_mut(bucket) {
                *count = count.saturating_sub(*before);
            }
        }
        counts.retain(|_, count| *count > 0);
        let longest = counts.last_key_value().map(|(bucket, _)| {
            let all = self.longest.filter(|all| Some(*all) != earlier.longest);
            let all = all.filter(|all| Bucket::of(all.ns) == *bucket);
            // The longest of all was there before: for the new ones, only the bucket is known.
            all.unwrap_or_else(|| {
                let most = self.longest.map_or(u64::MAX, |longest| longest.ns);
                Longest {
                    ns: bucket.longest_ns().min(most),
                    exact: false,
                }
            })
        });
        Self {
            counts,
            sum_ns: self.sum_ns.saturating_sub(earlier.sum_ns),
            longest,
        }
    }

    /// The number of durations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The sum of all durations, in ns, at most 584 years.
    #[must_use]
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// The longest.
    #[must_use]
    pub fn longest(&self) -> Option<Longest> {
        self.longest
    }

    /// Buckets that are not empty, the shortest durations first.
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = (Bucket, u64)> {
        self.counts.iter().map(|(bucket, count)| (*bucket, *count))
    }

    /// How many durations are at least `from_ns` and less than `to_ns` (`None`: no upper bound).
    /// Both must be the beginning of a bucket.
    #[must_use]
    pub fn between(&self, from_ns: u64, to_ns: Option<u64>) -> u64 {
        let from = self.counts.range(Bucket::of(from_ns)..);
        let to = to_ns.map(Bucket::of);
        let before_end = from.take_while(|(bucket, _)| to.is_none_or(|to| **bucket < to));
        before_end.map(|(_, count)| count).sum()
    }

    /// The duration that `per_mille` thousandths of the durations do not exceed (nearest rank);
    /// `None` without durations.
    #[must_use]
    pub fn quantile(&self, per_mille: u32) -> Option<Quantile> {
        let rank = (u128::from(self.count()) * u128::from(per_mille)).div_ceil(1000);
        let mut passed = 0;
        let bucket = self.counts.iter().find_map(|(bucket, count)| {
            passed += u128::from(*count);
            (passed >= rank.max(1)).then_some(*bucket)
        })?;
        let shortest_ns = bucket.shortest_ns();
        let most = self.longest.map_or(u64::MAX, |longest| longest.ns);
        let longest_ns = bucket.longest_ns().min(most);
        Some(Quantile {
            ns: shortest_ns + longest_ns.saturating_sub(shortest_ns) / 2,
            shortest_ns,
            longest_ns,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tcptrace_common::{BUCKETS_PER_DECADE, LONGEST_NS, SHORTEST_NS};

    use super::*;

    fn of(durations: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        durations.iter().for_each(|ns| histogram.add(*ns));
        histogram
    }

    /// The same durations, counted the way the kernel side does, on two CPUs.
    fn counted(durations: &[u64]) -> Histogram {
        let mut decades = [[Decade::default(); tcptrace_common::DECADES]; 2];
        for (index, ns) in durations.iter().enumerate() {
            let bucket = Bucket::of(*ns);
            let decade = &mut decades[index % 2][usize::from(bucket.decade)];
            decade.counts[usize::from(bucket.slot)] += 1;
            decade.sum_ns += ns;
            decade.max_ns = decade.max_ns.max(*ns);
        }
        let mut histogram = Histogram::default();
        for cpu in &decades {
            for (number, decade) in (0..).zip(cpu) {
                histogram.add_decade(number, decade);
            }
        }
        histogram
    }

    /// Durations whose logarithms are uniformly distributed.
    fn durations() -> impl Strategy<Value = Vec<u64>> {
        let duration = (0u32..56, any::<u64>())
            .prop_map(|(bits, noise)| (1u64 << bits) | (noise & ((1 << bits) - 1)));
        prop::collection::vec(duration, 1..200)
    }

    proptest! {
        #[test]
        fn both_sides_count_alike(durations in durations()) {
            prop_assert_eq!(of(&durations), counted(&durations));
        }

        #[test]
        fn every_duration_is_in_the_bucket_of_its_bounds(ns: u64) {
            let bucket = Bucket::of(ns);
            prop_assert!((bucket.shortest_ns()..=bucket.longest_ns()).contains(&ns));
            prop_assert!(usize::from(bucket.slot) < BUCKETS_PER_DECADE);
        }

        #[test]
        fn a_quantile_is_as_close_as_it_says(durations in durations(), per_mille in 1u32..=1000) {
            let quantile = of(&durations).quantile(per_mille).expect("there are some");
            let mut sorted = durations.clone();
            sorted.sort_unstable();
            let rank = (sorted.len() * per_mille as usize).div_ceil(1000);
            let truth = sorted[rank - 1];
            prop_assert!((quantile.shortest_ns..=quantile.longest_ns).contains(&truth));
            if (SHORTEST_NS..LONGEST_NS).contains(&truth) {
                prop_assert!(quantile.ns.abs_diff(truth) * 16 <= truth, "{quantile:?} {truth}");
            }
        }

        #[test]
        fn what_came_later_is_the_difference(before in durations(), after in durations()) {
            let earlier = of(&before);
            let mut all = earlier.clone();
            all.merge(&of(&after));
            let (later, truth) = (all.since(&earlier), of(&after));
            prop_assert_eq!(
                later.buckets().collect::<Vec<_>>(),
                truth.buckets().collect::<Vec<_>>()
            );
            prop_assert_eq!(later.sum_ns(), truth.sum_ns());
            let (later, truth) = (later.longest(), truth.longest());
            let (later, truth) = (later.expect("some"), truth.expect("some"));
            prop_assert!(later.ns >= truth.ns && Bucket::of(later.ns) == Bucket::of(truth.ns));
            prop_assert!(!later.exact || later == truth);
        }
    }

    #[test]
    fn nothing_has_no_quantiles() {
        assert_eq!(Histogram::default().quantile(500), None);
        assert_eq!(Histogram::default().longest(), None);
        assert_eq!(of(&[5]).since(&of(&[5])), Histogram::default());
    }

    #[test]
    fn the_longest_is_told_whole() {
        let quantile = of(&[3_000_000, 2_000_000]).quantile(1000).expect("two");
        assert_eq!((quantile.ns, quantile.longest_ns), (3_000_000, 3_000_000));
    }
}
