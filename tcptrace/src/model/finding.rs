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
