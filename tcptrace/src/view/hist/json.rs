//! Reports as JSON Lines, as the section "Histograms" of `docs/json.md` describes them.

use std::net::IpAddr;

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use tcptrace_common::Ending;

use crate::{
    model::{
        hist::{
            histogram::Histogram,
            key::{Key, Part},
            report::{Extent, KeyDurations, Report},
        },
        socket::Family,
        stuck::look::Hook,
    },
    view::{
        Page, View,
        hist::warnings::warnings,
        parts::{
            candidates::{CandidateRecord, records},
            caveat::{self, CaveatRecord},
            escaping,
        },
    },
};

/// The quantiles that are written, in thousandths.
const QUANTILES: [(u32, f64); 3] = [(500, 0.5), (900, 0.9), (990, 0.99)];

/// One line per report.
pub struct Json {
    top: usize,
}

impl Json {
    /// With at most this many keys per state.
    #[must_use]
    pub fn new(top: Option<usize>) -> Self {
        Self {
            top: top.unwrap_or(usize::MAX),
        }
    }
}

impl View<Report> for Json {
    fn show(&mut self, report: &Report, _: &Page, out: &mut Vec<u8>) {
        escaping::line(out, &ReportRecord::new(report, self.top));
    }

    fn is_for_programs(&self) -> bool {
        true
    }

    fn warnings(&self, report: &Report) -> Vec<String> {
        match report.extent {
            // The last report has them again.
            Extent::Interval | Extent::SoFar => Vec::new(),
            Extent::Whole => warnings(report),
        }
    }
}

#[derive(Serialize)]
struct ReportRecord<'a> {
    schema: &'static str,
    time: Option<String>,
    monotonic_ns: Option<u64>,
    covers: &'static str,
    length_ns: u64,
    by: Vec<&'static str>,
    states: Vec<&'static str>,
    include_open: bool,
    histograms: Vec<HistogramRecord<'a>>,
    hidden: usize,
    keys: KeysRecord,
    tracing: CountingRecord,
    caveats: Vec<CaveatRecord>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct HistogramRecord<'a> {
    state: &'static str,
    key: Option<KeyRecord<'a>>,
    /// Only where one of several processes is meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates: Vec<CandidateRecord<'a>>,
    #[serde(flatten)]
    finished: DurationsRecord,
    quantiles: Vec<QuantileRecord>,
    ended: EndedRecord,
    at_least: DurationsRecord,
    unknown: u64,
    so_far: SoFarRecord,
}

/// How many ended in which way.
struct EndedRecord([u64; Ending::ALL.len()]);

impl Serialize for EndedRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let counts = Ending::ALL.into_iter().zip(self.0);
        serializer.collect_map(counts.map(|(ending, count)| (ending.name(), count)))
    }
}

/// Parts that were not requested are left out; unknown values are null.
struct KeyRecord<'a> {
    by: &'a [Part],
    key: &'a Key,
}

#[derive(Serialize)]
struct AddressRecord {
    #[serde(serialize_with = "display")]
    address: IpAddr,
}

#[derive(Serialize)]
struct DurationsRecord {
    count: u64,
    sum_ns: u64,
    max_ns: Option<u64>,
    max_exact: Option<bool>,
    buckets: Vec<BucketRecord>,
}

#[derive(Serialize)]
struct SoFarRecord {
    exact: DurationsRecord,
    at_least: DurationsRecord,
}

#[derive(Serialize)]
struct BucketRecord {
    ge_ns: u64,
    le_ns: u64,
    count: u64,
}

#[derive(Serialize)]
struct QuantileRecord {
    q: f64,
    ns: u64,
    ge_ns: u64,
    le_ns: u64,
}

#[derive(Serialize)]
struct KeysRecord {
    count: usize,
    max: usize,
    other: u64,
}

#[derive(Serialize)]
struct CountingRecord {
    hook: Option<&'static str>,
    lost: u64,
    unkept: u64,
    recursion_misses: Option<u64>,
}

fn display<T: std::fmt::Display, S: Serializer>(value: &T, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(value)
}

impl Serialize for KeyRecord<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(None)?;
        let key = self.key;
        for part in self.by {
            match part {
                Part::Comm if self.by.contains(&Part::Pid) => {}
                Part::Comm => map.serialize_entry("comm", &key.comm.as_deref())?,
                Part::Pid => {
                    map.serialize_entry("pid", &key.pid)?;
                    map.serialize_entry("comm", &key.comm.as_deref())?;
                    map.serialize_entry("started_ns", &key.started_ns)?;
                }
                Part::Remote => {
                    let remote = key.remote.map(|address| AddressRecord { address });
                    map.serialize_entry("remote", &remote)?;
                }
                Part::Port => map.serialize_entry("port", &key.port)?,
                Part::Cgroup => map.serialize_entry("cgroup", &key.cgroup.as_deref())?,
                Part::Netns => map.serialize_entry("netns", &key.netns)?,
                Part::Family => {
                    map.serialize_entry("family", &key.family.map(Family::name))?;
                }
            }
        }
        map.end()
    }
}

impl<'a> ReportRecord<'a> {
    fn new(report: &'a Report, top: usize) -> Self {
        let (shown, hidden) = report.top(top);
        let account = &report.account;
        let by = std::iter::once("state").chain(report.selection.by.iter().map(|part| part.name()));
        Self {
            schema: "tcptrace.hist/1",
            time: (report.time).map(|time| humantime::format_rfc3339_nanos(time).to_string()),
            monotonic_ns: report.time.map(|_| report.monotonic_ns),
            covers: report.extent.name(),
            length_ns: report.length_ns,
            by: by.collect(),
            states: report
                .selection
                .states
                .iter()
                .map(|state| state.name())
                .collect(),
            include_open: report.include_open,
            histograms: shown
                .into_iter()
                .map(|group| histogram(report, group))
                .collect(),
            hidden: hidden.iter().map(|(_, count)| count).sum(),
            keys: KeysRecord {
                count: report.keys,
                max: report.selection.max_keys,
                other: account.unkeyed,
            },
            tracing: CountingRecord {
                hook: account.hook.map(Hook::name),
                lost: account.lost,
                unkept: account.untracked,
                recursion_misses: account.skipped,
            },
            caveats: caveat::records(&report.caveats),
            notes: caveat::texts(&report.caveats),
        }
    }
}

fn histogram<'a>(report: &'a Report, group: &'a KeyDurations) -> HistogramRecord<'a> {
    let spread = &group.spread;
    let counted = report.for_quantiles(spread);
    let quantiles = QUANTILES.iter().filter_map(|(per_mille, q)| {
        let quantile = counted.quantile(*per_mille)?;
        Some(QuantileRecord {
            q: *q,
            ns: quantile.ns,
            ge_ns: quantile.shortest_ns,
            le_ns: quantile.longest_ns,
        })
    });
    HistogramRecord {
        state: group.state.name(),
        key: group.key.as_ref().map(|key| KeyRecord {
            by: &report.selection.by,
            key,
        }),
        candidates: (group.key.as_ref()).map_or_else(Vec::new, |key| records(&key.candidates)),
        finished: durations(&spread.closed().exact),
        quantiles: quantiles.collect(),
        ended: EndedRecord(Ending::ALL.map(|ending| spread.ended(ending).count())),
        at_least: durations(&spread.closed().at_least),
        unknown: spread.closed().unknown,
        so_far: SoFarRecord {
            exact: durations(&spread.open),
            at_least: durations(&spread.open_at_least),
        },
    }
}

fn durations(histogram: &Histogram) -> DurationsRecord {
    let longest = histogram.longest();
    let buckets = histogram.buckets().map(|(bucket, count)| BucketRecord {
        ge_ns: bucket.shortest_ns(),
        le_ns: bucket.longest_ns(),
        count,
    });
    DurationsRecord {
        count: histogram.count(),
        sum_ns: histogram.sum_ns(),
        max_ns: longest.map(|longest| longest.ns),
        max_exact: longest.map(|longest| longest.exact),
        buckets: buckets.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::hist::fixtures::report;

    fn value(report: &Report, top: usize) -> serde_json::Value {
        let mut out = Vec::new();
        Json::new(Some(top)).show(report, &Page::UNLIMITED, &mut out);
        let line = String::from_utf8(out).expect("JSON is UTF-8");
        let line = line.strip_suffix('\n').expect("it has an end");
        assert!(!line.contains(char::is_control), "{line}");
        serde_json::from_str(line).expect("it is JSON")
    }

    #[test]
    fn a_report_is_one_line_of_the_schema() {
        let report = report(&[Part::Pid, Part::Remote, Part::Port], 512, false);
        let pretty = serde_json::to_string_pretty(&value(&report, 1)).expect("it was JSON");
        insta::assert_snapshot!(pretty);
    }

    #[test]
    fn what_is_not_known_is_null_and_what_has_no_room_has_no_key() {
        let report = report(
            &[Part::Comm, Part::Family, Part::Netns, Part::Cgroup],
            1,
            true,
        );
        let value = value(&report, usize::MAX);
        let keys: Vec<_> = (value["histograms"].as_array().into_iter().flatten())
            .map(|histogram| histogram["key"].to_string())
            .collect();
        let java = r#"{"cgroup":"/system.slice/app.service","comm":"java","family":"ipv4","netns":4026531833}"#;
        assert_eq!(keys, [java, "null"]);
        let unknown = crate::model::hist::key::Key::default();
        let mut with_unknown = report.clone();
        with_unknown.groups[0].key = Some(unknown);
        let value = self::value(&with_unknown, usize::MAX);
        assert!(value["histograms"][0]["key"]["comm"].is_null());
        assert!(value["histograms"][0]["key"].get("pid").is_none());
    }

    #[test]
    fn buckets_add_up() {
        let value = value(&report(&[], 1, false), usize::MAX);
        let histogram = &value["histograms"][0];
        let sum: u64 = (histogram["buckets"].as_array().into_iter().flatten())
            .filter_map(|bucket| bucket["count"].as_u64())
            .sum();
        assert_eq!(histogram["count"], sum);
        assert_eq!(histogram["at_least"]["count"], 1);
        assert_eq!(histogram["so_far"]["exact"]["count"], 2);
        assert_eq!(histogram["so_far"]["at_least"]["count"], 1);
    }
}
