//! Findings as one line of JSON, schema `tcptrace.doctor/1`.

use std::borrow::Cow;

use serde::Serialize;

use crate::{
    model::finding::{Finding, Status, verdict},
    view::{Page, View, doctor::detail, parts::escaping},
};

/// One line for all findings.
pub struct Json;

impl View<[Finding]> for Json {
    fn show(&mut self, findings: &[Finding], _: &Page, out: &mut Vec<u8>) {
        escaping::line(out, &FindingsRecord::new(findings));
    }

    fn is_for_programs(&self) -> bool {
        true
    }
}

#[derive(Serialize)]
struct FindingsRecord<'a> {
    schema: &'static str,
    works: bool,
    findings: Vec<FindingRecord<'a>>,
}

#[derive(Serialize)]
struct FindingRecord<'a> {
    name: &'a str,
    status: &'static str,
    detail: Cow<'a, str>,
    advice: Option<&'a str>,
    part_of: Option<&'static str>,
    follows_from: Option<&'static str>,
}

impl<'a> FindingsRecord<'a> {
    fn new(findings: &'a [Finding]) -> Self {
        let record = |finding: &'a Finding| FindingRecord {
            name: finding.name,
            status: finding.status.name(),
            detail: detail(finding),
            advice: finding.advice.as_deref(),
            part_of: finding.part_of,
            follows_from: finding.follows_from,
        };
        Self {
            schema: "tcptrace.doctor/1",
            works: verdict(findings) != Status::Missing,
            findings: findings.iter().map(record).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::doctor::fixture;

    #[test]
    fn the_worst_finding_decides() {
        let works = |findings: &[Finding]| {
            let mut json = Vec::new();
            Json.show(findings, &Page::UNLIMITED, &mut json);
            let value: serde_json::Value = serde_json::from_slice(&json).expect("it is JSON");
            value["works"] == true
        };
        assert!(!works(&fixture()));
        assert!(works(&fixture()[..2]));
    }
}
