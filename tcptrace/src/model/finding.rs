//! What `tcptrace doctor` finds out about a machine.

use crate::model::{caveat::Caveat, names::names};

/// The status of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It works.
    Ok,
    /// `tcptrace` works without it, but with a restriction.
    Degraded,
    /// `tcptrace` does not work without it.
    Missing,
}

names!(Status {
    Ok => "ok",
    Degraded => "degraded",
    Missing => "missing",
});

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was checked, in a word or two.
    pub name: &'static str,
    /// Its status.
    pub status: Status,
    /// What was found, and which restriction follows.
    pub detail: String,
    /// What could not be seen.
    pub caveat: Option<Caveat>,
    /// The advice what to do about it.
    pub advice: Option<String>,
    /// The finding that says what is used, if this is one of several ways to the same.
    pub part_of: Option<&'static str>,
    /// The finding that is the cause of this one, if it is not ok because of that alone.
    pub follows_from: Option<&'static str>,
}

impl Finding {
    /// Something that works.
    pub fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            name,
            status: Status::Ok,
            detail: detail.into(),
            caveat: None,
            advice: None,
            part_of: None,
            follows_from: None,
        }
    }

    /// Something that is missing and causes a restriction.
    pub fn degraded(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status: Status::Degraded,
            ..Self::ok(name, detail)
        }
    }

    /// Something that is missing and that `tcptrace` needs.
    pub fn missing(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status: Status::Missing,
            ..Self::ok(name, detail)
        }
    }

    /// The same, one of several ways to what the named finding says.
    #[must_use]
    pub fn part_of(self, whole: &'static str) -> Self {
        Self {
            part_of: Some(whole),
            ..self
        }
    }

    /// The same, with advice.
    #[must_use]
    pub fn advice(self, advice: impl Into<String>) -> Self {
        Self {
            advice: Some(advice.into()),
            ..self
        }
    }
}

/// The worst status of the findings.
#[must_use]
pub fn verdict(findings: &[Finding]) -> Status {
    let statuses = findings.iter().map(|finding| finding.status);
    statuses.max().unwrap_or(Status::Ok)
}

/// Marks what is not ok because of another finding.
pub fn explain(findings: &mut [Finding]) {
    for (cause, status, consequences) in CAUSES {
        let is_cause = |one: &Finding| one.name == cause && one.status >= status;
        if !findings.iter().any(is_cause) {
            continue;
        }
        for one in findings.iter_mut() {
            if one.status != Status::Ok && consequences.contains(&one.name) {
                one.follows_from = one.follows_from.or(Some(cause));
            }
        }
    }
}

/// What a program of the kernel side needs.
const PROGRAMS: &[&str] = &[
    "hook btf",
    "socket cookie",
    "hook tracepoint",
    "iterator walk_tasks",
    "iterator walk_files",
    "holders",
    "accept by fexit",
    "accept by syscall",
    "accept",
    "map size",
];

/// Findings with what is not ok because of them, if their status is this one or worse. The first cause counts.
const CAUSES: [(&str, Status, &[&str]); 5] = [
    ("capabilities", Status::Missing, PROGRAMS),
    (
        "capabilities",
        Status::Missing,
        &["tracefs", "sock_diag", "namespaces", "control groups"],
    ),
    ("capabilities", Status::Degraded, &["namespaces"]),
    ("lockdown", Status::Missing, PROGRAMS),
    ("type information", Status::Degraded, PROGRAMS),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(mut findings: Vec<Finding>) -> Vec<Option<&'static str>> {
        explain(&mut findings);
        findings.iter().map(|one| one.follows_from).collect()
    }

    #[test]
    fn what_follows_from_one_cause_is_marked() {
        let found = |capabilities| {
            vec![
                capabilities,
                Finding::degraded("type information", "none"),
                Finding::missing("hook btf", "refused"),
                Finding::ok("holders", "found"),
                Finding::degraded("namespaces", "1 seen"),
                Finding::degraded("limits", "few"),
            ]
        };
        let privileges = Some("capabilities");
        assert_eq!(
            explained(found(Finding::missing("capabilities", "all"))),
            [None, None, privileges, None, privileges, None]
        );
        assert_eq!(
            explained(found(Finding::ok("capabilities", "all"))),
            [None, None, Some("type information"), None, None, None]
        );
    }
}
