//! Medians and quartiles.

use std::fmt;

use anyhow::{Result, bail};

/// The median of some values, and the spread of the middle half of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub lower: f64,
    pub median: f64,
    pub upper: f64,
}

impl Spread {
    /// The spread of these values; there must be at least one, and all must be numbers.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Result<Self> {
        let mut sorted: Vec<_> = values.into_iter().collect();
        if sorted.is_empty() || sorted.iter().any(|value| !value.is_finite()) {
            bail!("no median of {sorted:?}");
        }
        sorted.sort_by(f64::total_cmp);
        Ok(Self {
            lower: quantile(&sorted, 0.25),
            median: quantile(&sorted, 0.5),
            upper: quantile(&sorted, 0.75),
        })
    }

    /// With this many decimals.
    pub fn show(&self, decimals: usize) -> String {
        let Self {
            lower,
            median,
            upper,
        } = self;
        format!("{median:.decimals$} ({lower:.decimals$}–{upper:.decimals$})")
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show(2))
    }
}

/// A quantile, interpolated between two values of `sorted`.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor())
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn quartiles_of_odd_and_even_counts() {
        let spread = Spread::of([5.0, 1.0, 3.0, 2.0, 4.0]).expect("they are numbers");
        assert_eq!((spread.lower, spread.median, spread.upper), (2.0, 3.0, 4.0));
        let spread = Spread::of([4.0, 1.0, 2.0, 3.0]).expect("they are numbers");
        assert_eq!(
            (spread.lower, spread.median, spread.upper),
            (1.75, 2.5, 3.25)
        );
        assert_eq!(spread.to_string(), "2.50 (1.75–3.25)");
    }

    #[test]
    fn there_is_no_median_of_nothing() {
        assert!(Spread::of([]).is_err());
        assert!(Spread::of([1.0, f64::NAN]).is_err());
    }
}
