//! Times of lines. A log has many lines per second, so the text of a second is made only once.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second of the year 9999: later times have no RFC 3339 form.
pub const LAST_SECOND: u64 = 253_402_300_799;

/// Formats times.
#[derive(Debug, Default)]
pub struct Stamp {
    second: Option<u64>,
    /// `2026-11-23T01:20:04`
    text: String,
}

impl Stamp {
    /// The second of `time`, as `2026-11-23T01:20:04`, and the ns within it.
    pub fn at(&mut self, time: SystemTime) -> (&str, u32) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let second = since.as_secs().min(LAST_SECOND);
        if self.second != Some(second) {
            let whole = UNIX_EPOCH + Duration::from_secs(second);
            self.text = humantime::format_rfc3339_seconds(whole).to_string();
            self.text.truncate("2026-11-23T01:20:04".len());
            self.second = Some(second);
        }
        (&self.text, since.subsec_nanos())
    }
}

/// A single time in RFC 3339, to the second.
#[must_use]
pub fn second(time: SystemTime) -> String {
    format!("{}Z", Stamp::default().at(time).0)
}

/// A single time in RFC 3339, to the ns.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    let mut stamp = Stamp::default();
    let (second, ns) = stamp.at(time);
    format!("{second}.{ns:09}Z")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::{Stamp, rfc3339, second};

    #[test]
    fn every_time_has_a_second() {
        let mut stamp = Stamp::default();
        let at = |secs, nanos| UNIX_EPOCH + Duration::new(secs, nanos);
        assert_eq!(stamp.at(at(0, 7)), ("1970-01-01T00:00:00", 7));
        assert_eq!(stamp.at(at(86_399, 0)), ("1970-01-01T23:59:59", 0));
        assert_eq!(stamp.at(at(0, 8)), ("1970-01-01T00:00:00", 8));
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(stamp.at(before), ("1970-01-01T00:00:00", 0));
        let late = at(300_000_000_000, 1);
        assert_eq!(stamp.at(late), ("9999-12-31T23:59:59", 1));
        assert_eq!(second(late), "9999-12-31T23:59:59Z");
        assert_eq!(rfc3339(late), "9999-12-31T23:59:59.000000001Z");
    }
}
