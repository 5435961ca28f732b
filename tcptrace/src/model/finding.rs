//! What `tcptrace doctor` finds out about a machine.

use crate::model::{caveat::Caveat, names::names};

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It works.
    Ok,
    /// Something is lost without it, and `tcptrace` works all the same.
    Degraded,
    /// `tcptrace` does not work without it.
    Missing,
}

names!(Status {
    Ok => "ok",
    Degraded => "degraded",
    Missing => "missing",
});

/// One thing that was examined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What, in a word or two.
    pub name: &'static str,
    /// How it stands.
    pub status: Status,
    /// What was seen, and what is lost by it.
    pub detail: String,
    /// What could not be seen.
    pub caveat: Option<Caveat>,
    /// What to do about it.
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

    /// Something without which something is lost.
    pub fn degraded(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status: Status::Degraded,
            ..Self::ok(name, detail)
        }
    }

    /// Something without which nothing works.
    pub fn missing(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status: Status::Missing,
            ..Self::ok(name, detail)
        }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn advice(self, advice: impl Into<String>) -> Self {
        Self {
            advice: Some(advice.into()),
            ..self
        }
    }
}

/// The worst of the findings.
#[must_use]
pub fn verdict(findings: &[Finding]) -> Status {
    let statuses = findings.iter().map(|finding| finding.status);
    statuses.max().unwrap_or(Status::Ok)
}
