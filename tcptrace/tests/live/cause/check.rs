//! What is said about a group, against what is known about it.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::run::snapshot::{Diagnosis, Group, Snapshot};

/// What a look says about a group.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    pub group: &'a Group,
    pub diagnosis: &'a Diagnosis,
}

/// What it says about the only group of a process with this role.
pub fn said<'a>(look: &'a Snapshot, pid: u32, role: &str) -> Result<Said<'a>> {
    let groups = look.groups.iter();
    let own: Vec<_> = groups
        .filter(|group| group.pid == Some(pid) && group.role == role)
        .collect();
    let [group] = own[..] else {
        bail!("not one group of {pid} as a {role}: {:#?}", look.groups);
    };
    let diagnosis = group.diagnosis.as_ref().context("no diagnosis")?;
    Ok(Said { group, diagnosis })
}

impl Said<'_> {
    /// It has so many sockets, for this cause first, and this answer whether they stay.
    pub fn is(self, sockets: usize, cause: &str, leak: &str) -> Result<Self> {
        self.first(sockets, cause)?;
        ensure!(self.diagnosis.leak == leak, "leak not {leak}: {self:#?}");
        Ok(self)
    }

    /// It has so many sockets, for this cause first.
    pub fn first(self, sockets: usize, cause: &str) -> Result<Self> {
        ensure!(self.group.sockets == sockets, "not {sockets}: {self:#?}");
        let found = self.diagnosis.causes.first();
        ensure!(
            found.is_some_and(|one| one.cause == cause && !one.remedy.is_empty()),
            "not {cause}: {self:#?}"
        );
        Ok(self)
    }

    /// The cause at this place, from 0 on.
    pub fn cause(self, at: usize, cause: &str) -> Result<Self> {
        let found = self.diagnosis.causes.get(at);
        let is_it = found.is_some_and(|one| one.cause == cause);
        ensure!(is_it, "{cause} is not at {at}: {self:#?}");
        Ok(self)
    }

    /// Each of these is in a piece of evidence of the first cause.
    pub fn because(self, wanted: &[&str]) -> Result<Self> {
        let evidence = self.diagnosis.causes.first().map(|one| &one.evidence[..]);
        let evidence = evidence.unwrap_or_default();
        for one in wanted {
            let is_there = evidence.iter().any(|text| text.contains(one));
            ensure!(is_there, "no {one:?}: {self:#?}");
        }
        Ok(self)
    }

    /// Each of these is in a reason why the answer whether they stay is not another one.
    pub fn leak_because(self, wanted: &[&str]) -> Result<Self> {
        for one in wanted {
            let mut reasons = self.diagnosis.leak_because.iter();
            let is_there = reasons.any(|text| text.contains(one));
            ensure!(is_there, "no {one:?}: {self:#?}");
        }
        Ok(self)
    }

    /// How long after the answer the FIN came.
    pub fn fin_gap(self) -> Result<FinGap> {
        let causes = self.diagnosis.causes.iter();
        let mut evidence = causes.flat_map(|cause| &cause.evidence);
        let gap = evidence.find_map(|text| fin_gap(text));
        gap.with_context(|| format!("it does not say when the FIN came: {self:#?}"))
    }
}

/// How long after the last data the FINs came, at least and at most, and on how many of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinGap {
    pub least: Duration,
    pub most: Duration,
    pub on: usize,
    pub of: usize,
}

/// As in `the FIN came 2.0s to 2.1s after the answer on 9 of 10`.
fn fin_gap(text: &str) -> Option<FinGap> {
    let text = text.strip_prefix("the FIN came ")?;
    let (gap, share) = text.split_once(" after the answer on ")?;
    let (on, of) = share.split_once(" of ")?;
    let (least, most) = match gap.split_once(" to ") {
        Some((least, most)) => (duration(least)?, duration(most)?),
        None => match gap.strip_prefix("at most ") {
            Some(most) => (Duration::ZERO, duration(most)?),
            None => (duration(gap)?, duration(gap)?),
        },
    };
    let (on, of) = (on.parse().ok()?, of.parse().ok()?);
    Some(FinGap {
        least,
        most,
        on,
        of,
    })
}

fn duration(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(ms) => Some(Duration::from_millis(ms.parse().ok()?)),
        None => Some(Duration::from_secs_f64(
            text.strip_suffix('s')?.parse().ok()?,
        )),
    }
}
