//! The buckets of duration histograms, the same in the kernel, in user space and in JSON.
//!
//! A decade (1 to 10 times a power of ten) is cut at 1, 2, 4 and 8, and each piece into parts of an
//! eighth of its beginning. This gives 26 buckets, none of them wider than 12.5 % of the durations
//! in it. The cuts are at round numbers, so that 1-2-5 rows can be drawn without splitting a
//! bucket.

/// Buckets of a decade.
pub const BUCKETS_PER_DECADE: usize = 26;
/// Decades: one for durations below a microsecond, twelve from there to 10¹⁵ ns (11 days), and one
/// for longer durations. The first and the last have one bucket each.
pub const DECADES: usize = 14;
/// The beginning of the first full decade, in ns.
pub const SHORTEST_NS: u64 = 1_000;
/// The end of the last full decade, in ns.
pub const LONGEST_NS: u64 = 1_000_000_000_000_000;

/// The bucket of a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket {
    /// Less than [`DECADES`].
    pub decade: u8,
    /// Less than [`BUCKETS_PER_DECADE`].
    pub slot: u8,
}

impl Bucket {
    /// The bucket of a duration in ns.
    #[inline(always)]
    #[must_use]
    pub const fn of(ns: u64) -> Self {
        if ns < SHORTEST_NS {
            return Self { decade: 0, slot: 0 };
        }
        let (mut decade, mut base) = (1, SHORTEST_NS);
        while decade < DECADES as u8 - 1 && ns >= base * 10 {
            base *= 10;
            decade += 1;
        }
        if decade == DECADES as u8 - 1 {
            return Self { decade, slot: 0 };
        }
        let eighths = (ns * 8 / base) as u8;
        let slot = match eighths {
            0..16 => eighths - 8,
            16..32 => eighths / 2,
            32..64 => eighths / 4 + 8,
            _ => eighths / 8 + 16,
        };
        Self { decade, slot }
    }

    /// The shortest duration in it, in ns.
    #[must_use]
    pub const fn shortest_ns(self) -> u64 {
        if self.decade == 0 {
            return 0;
        }
        let slot = self.slot as u64;
        let eighths = match slot {
            0..8 => slot + 8,
            8..16 => slot * 2,
            16..24 => (slot - 8) * 4,
            _ => (slot - 16) * 8,
        };
        10u64.pow(self.decade as u32 + 2) / 8 * eighths
    }

    /// The longest duration in it, in ns.
    #[must_use]
    pub const fn longest_ns(self) -> u64 {
        if self.decade as usize == DECADES - 1 {
            return u64::MAX;
        }
        self.next().shortest_ns() - 1
    }

    /// The next bucket; the last one is its own next.
    #[must_use]
    pub const fn next(self) -> Self {
        let Self { decade, slot } = self;
        if decade as usize == DECADES - 1 {
            self
        } else if decade == 0 || slot as usize == BUCKETS_PER_DECADE - 1 {
            Self {
                decade: decade + 1,
                slot: 0,
            }
        } else {
            Self {
                decade,
                slot: slot + 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every bucket, the shortest durations first.
    fn all() -> impl Iterator<Item = Bucket> {
        let first = Bucket { decade: 0, slot: 0 };
        core::iter::successors(Some(first), |bucket| {
            Some(bucket.next()).filter(|next| next != bucket)
        })
    }

    #[test]
    fn buckets_follow_each_other_without_gaps() {
        assert_eq!(all().count(), 2 + 12 * BUCKETS_PER_DECADE);
        let mut next_ns = 0;
        for bucket in all() {
            assert_eq!(bucket.shortest_ns(), next_ns);
            assert_eq!(Bucket::of(next_ns), bucket);
            assert_eq!(Bucket::of(bucket.longest_ns()), bucket);
            next_ns = bucket.longest_ns().wrapping_add(1);
        }
        assert_eq!(next_ns, 0, "the last one ends with the longest duration");
    }

    #[test]
    fn none_is_wider_than_an_eighth_of_what_is_in_it() {
        // 36 h and more.
        let wide = all().filter(|bucket| (1..13).contains(&bucket.decade));
        for bucket in wide {
            let width = bucket.longest_ns() - bucket.shortest_ns() + 1;
            assert!(width * 8 <= bucket.shortest_ns(), "{bucket:?}");
        }
        const { assert!(LONGEST_NS > 36 * 3600 * 1_000_000_000) };
    }

    #[test]
    fn rows_of_1_2_5_begin_with_a_bucket() {
        for decade in 0..12 {
            for mantissa in [1, 2, 5] {
                let ns = mantissa * SHORTEST_NS * 10u64.pow(decade);
                assert_eq!(Bucket::of(ns).shortest_ns(), ns);
            }
        }
    }
}
