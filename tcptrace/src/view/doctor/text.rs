//! Findings for people.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::{
    model::finding::{Finding, Status, verdict},
    view::{Page, View, doctor::detail, parts::clean::clean},
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

/// One line per finding, and the verdict; with colours.
pub struct Text;

impl View<[Finding]> for Text {
    fn show(&mut self, findings: &[Finding], _: &Page, out: &mut Vec<u8>) {
        out.extend_from_slice(text(findings).as_bytes());
    }
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let style = style(finding.status);
        let status = finding.status.name();
        let detail = detail(finding);
        let mut details = detail.lines();
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
        Status::Ok => "tcptrace works here, with all its features.",
        Status::Degraded => "tcptrace works here, with the restrictions shown above as degraded.",
        Status::Missing => "tcptrace does not work here: it needs what is shown above as missing.",
    };
    let _ = writeln!(text, "\n{verdict}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::doctor::fixture;

    #[test]
    fn findings_are_aligned_and_judged() {
        let text = anstream::adapter::strip_str(&text(&fixture())).to_string();
        insta::assert_snapshot!(text);
    }
}
