//! What `tcptrace doctor` found, as text and as JSON.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::{
    model::finding::{Finding, Status, verdict},
    view::parts::clean::clean,
};

/// Where details begin.
const DETAIL: usize = 32;

fn style(status: Status) -> Style {
    match status {
        Status::Ok => AnsiColor::Green.on_default(),
        Status::Degraded => AnsiColor::Yellow.on_default(),
        Status::Missing => AnsiColor::Red.on_default().bold(),
    }
}

/// One line a finding, and the verdict; with colours.
#[must_use]
pub fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let style = style(finding.status);
        let status = finding.status.name();
        let mut details = finding.detail.lines();
        let first = clean(details.next().unwrap_or_default());
        let _ = writeln!(
            text,
            "{style}{status:<10}{style:#}{:<22}{first}",
            finding.name
        );
        let advice = finding.advice.iter().map(|advice| format!("try: {advice}"));
        for line in details.map(|line| line.trim().to_owned()).chain(advice) {
            let _ = writeln!(text, "{:DETAIL$}{}", "", clean(&line));
        }
    }
    let verdict = match verdict(findings) {
        Status::Ok => "tcptrace works here, with everything it has.",
        Status::Degraded => "tcptrace works here; what is degraded is said above.",
        Status::Missing => "tcptrace does not work here; what is missing is said above.",
    };
    let _ = writeln!(text, "\n{verdict}");
    text
}

#[derive(Serialize)]
struct Record<'a> {
    schema: &'static str,
    works: bool,
    findings: Vec<FindingRecord<'a>>,
}

#[derive(Serialize)]
struct FindingRecord<'a> {
    name: &'a str,
    status: &'static str,
    detail: &'a str,
    advice: Option<&'a str>,
}

/// One line of JSON, schema `tcptrace.doctor/1`.
///
/// # Errors
/// Never for a buffer in memory; the serializer's type has them.
pub fn json(findings: &[Finding]) -> serde_json::Result<String> {
    let record = Record {
        schema: "tcptrace.doctor/1",
        works: verdict(findings) != Status::Missing,
        findings: findings
            .iter()
            .map(|finding| FindingRecord {
                name: finding.name,
                status: finding.status.name(),
                detail: &finding.detail,
                advice: finding.advice.as_deref(),
            })
            .collect(),
    };
    serde_json::to_string(&record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::ok("kernel", "Linux 6.1.0 on x86_64"),
            Finding::degraded("tracefs", "not mounted").advice("mount it"),
            Finding::missing("sock_diag", "first line\n  second \x1b[2Jline"),
        ]
    }

    #[test]
    fn findings_are_aligned_and_judged() {
        let text = anstream::adapter::strip_str(&text(&findings())).to_string();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn the_worst_finding_decides() {
        let works = |findings: &[Finding]| {
            let json = json(findings).expect("memory takes it");
            let value: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
            value["works"] == true
        };
        assert!(!works(&findings()));
        assert!(works(&findings()[..2]));
    }
}
