//! Findings for people: the verdict, then what is limited or missing, then what is fine.

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr as _;

use crate::{
    model::finding::{Finding, Status, verdict},
    view::{
        Page, View,
        doctor::detail,
        layout::{
            plain::{ellipsis, plain},
            wrap::wrap,
        },
        parts::{clean::clean, style},
    },
};

/// Where names begin: behind the longest word for a status.
const NAME: usize = 9;
/// How far text is indented where there is no room for columns.
const NARROW: &str = "  ";
const FAULT: Style = AnsiColor::Red.on_default().bold();

/// What is limited or missing, or `all` that was found, below the verdict.
pub struct Text {
    pub all: bool,
}

impl View<[Finding]> for Text {
    fn show(&mut self, findings: &[Finding], page: &Page, out: &mut Vec<u8>) {
        for line in lines(findings, self.all, *page) {
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        }
    }
}

/// One thing that works, is limited, or is missing.
struct Entry {
    status: Status,
    name: &'static str,
    /// Lines, fit for a terminal.
    details: Vec<String>,
    advice: Option<String>,
}

impl Entry {
    fn of(finding: &Finding) -> Self {
        let detail = detail(finding);
        let lines = detail.lines().map(|line| clean(line.trim()));
        Self {
            status: finding.status,
            name: finding.name,
            details: lines.collect(),
            advice: finding.advice.as_deref().map(clean),
        }
    }

    /// The finding with its parts that do not work, and with the number of those that follow from it.
    fn whole(finding: &Finding, findings: &[Finding]) -> Self {
        let mut entry = Self::of(finding);
        let broken = |part: &&Finding| part.status != Status::Ok && part.follows_from.is_none();
        let parts = findings
            .iter()
            .filter(|one| one.part_of == Some(finding.name));
        for part in parts.filter(broken) {
            let reason = clean(&detail(part));
            entry.add(&format!("; {} does not work: {reason}", part.name));
            entry.status = entry.status.max(part.status);
            let advice = || part.advice.as_deref().map(clean);
            entry.advice = entry.advice.take().or_else(advice);
        }
        let follows = |one: &&Finding| one.follows_from == Some(finding.name);
        match findings.iter().filter(follows).count() {
            0 => {}
            1 => entry.add("; 1 more does not work because of it"),
            more => entry.add(&format!("; {more} more do not work because of it")),
        }
        entry
    }

    fn add(&mut self, text: &str) {
        match self.details.last_mut() {
            Some(last) => last.push_str(text),
            None => self.details.push(text.to_owned()),
        }
    }

    fn lines(&self, name_width: usize, page: Page) -> Vec<String> {
        let (word, style) = match self.status {
            Status::Ok => ("fine", Style::new()),
            Status::Degraded => ("limited", style::WARNING),
            Status::Missing => ("missing", FAULT),
        };
        let head = format!("{word:NAME$}{:name_width$}  ", self.name);
        let has_columns = page.width.is_none_or(|width| head.width() * 2 <= width);
        let mut lines = Vec::new();
        let indent = match has_columns {
            true => " ".repeat(head.width()),
            false => {
                lines.extend(wrap("", &format!("{word}  {}", self.name), page));
                NARROW.to_owned()
            }
        };
        let mut first = Some(head).filter(|_| has_columns);
        for detail in &self.details {
            let begin = first.take().unwrap_or_else(|| indent.clone());
            lines.extend(wrap(&begin, detail, page));
        }
        let advice = self.advice.iter().filter(|_| self.status != Status::Ok);
        for advice in advice {
            lines.extend(wrap(&indent, &format!("try: {advice}"), page));
        }
        // What is measured above has no colours.
        if let Some(rest) = lines.first().and_then(|line| line.strip_prefix(word)) {
            lines[0] = format!("{style}{word}{style:#}{rest}");
        }
        lines
    }
}

fn lines(findings: &[Finding], all: bool, page: Page) -> Vec<String> {
    let own = |one: &&Finding| one.part_of.is_none() && one.follows_from.is_none();
    let entries: Vec<Entry> = findings
        .iter()
        .filter(own)
        .map(|one| Entry::whole(one, findings))
        .collect();
    let judged = sentence(&entries, verdict(findings));
    let style = match verdict(findings) {
        Status::Missing => FAULT,
        Status::Ok | Status::Degraded => style::HEADING,
    };
    let judged = wrap("", &judged, page).into_iter();
    let mut lines: Vec<_> = judged
        .map(|line| format!("{style}{line}{style:#}"))
        .collect();
    let shown: Vec<Entry> = match all {
        true => findings.iter().map(Entry::of).collect(),
        false => {
            let (fine, mut bad): (Vec<_>, Vec<_>) = entries
                .into_iter()
                .partition(|one| one.status == Status::Ok);
            bad.sort_by_key(|one| std::cmp::Reverse(one.status));
            let names = shown_lines(&bad, page);
            if !names.is_empty() {
                lines.push(String::new());
                lines.extend(names);
            }
            lines.push(String::new());
            lines.extend(fine_line(&fine, page));
            lines.extend(wrap("", "All of them: tcptrace doctor --all", page));
            return lines;
        }
    };
    lines.push(String::new());
    lines.extend(shown_lines(&shown, page));
    lines
}

fn shown_lines(entries: &[Entry], page: Page) -> Vec<String> {
    let wide = entries.iter().map(|one| one.name.len()).max();
    let wide = wide.unwrap_or(0);
    let lines = entries.iter().flat_map(|one| one.lines(wide, page));
    lines.collect()
}

/// The verdict.
fn sentence(entries: &[Entry], verdict: Status) -> String {
    let count = |status| entries.iter().filter(|one| one.status == status).count();
    let (limited, missing) = (count(Status::Degraded), count(Status::Missing));
    let is = |count: usize| if count == 1 { "is" } else { "are" };
    let things = entries.len();
    match verdict {
        Status::Ok => "tcptrace works here, all of it.".to_owned(),
        Status::Degraded => format!(
            "tcptrace works here. {limited} of {things} things {} limited:",
            is(limited)
        ),
        Status::Missing if limited == 0 => format!(
            "tcptrace does not work here: {missing} of {things} things {} missing:",
            is(missing)
        ),
        Status::Missing => format!(
            "tcptrace does not work here: {missing} of {things} things {} missing, {limited} {} limited:",
            is(missing),
            is(limited)
        ),
    }
}

/// How many things are fine, and as many of their names as a line has room for.
fn fine_line(fine: &[Entry], page: Page) -> Vec<String> {
    let Some(last) = fine.len().checked_sub(1) else {
        return Vec::new();
    };
    let verb = if last == 0 { "is" } else { "are" };
    let begin = format!("{} {verb} fine", fine.len());
    let width = page.width.unwrap_or(usize::MAX);
    let mark = format!(", {}", ellipsis(page.ascii));
    let mut line = begin.clone();
    for (index, entry) in fine.iter().enumerate() {
        // Which kernel it is says more than that there is one.
        let name = match (entry.name, entry.details.first()) {
            ("kernel", Some(detail)) => detail,
            (name, _) => name,
        };
        let name = match page.ascii {
            true => plain(name),
            false => name.into(),
        };
        let comma = if index == 0 { ": " } else { ", " };
        let end = if index == last { "" } else { &mark };
        let longer = line.width() + comma.len() + name.width();
        if longer + end.width() > width {
            match index {
                0 => return wrap("", &begin, page),
                _ => line.push_str(&mark),
            }
            break;
        }
        line.push_str(comma);
        line.push_str(&name);
    }
    vec![line]
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
