//! Views of what `tcptrace doctor` found.

mod json;
mod text;

use std::borrow::Cow;

use crate::{
    model::finding::Finding,
    view::{Format, View, parts::caveat},
};

/// The view of this format; text shows what is fine one by one only if it is to show `all`.
#[must_use]
pub fn choose(format: Format, all: bool) -> Box<dyn View<[Finding]>> {
    match format {
        Format::Text => Box::new(text::Text { all }),
        Format::Json => Box::new(json::Json),
    }
}

/// The detail of a finding, with its caveat if it has one.
fn detail(finding: &Finding) -> Cow<'_, str> {
    match &finding.caveat {
        None => (&finding.detail[..]).into(),
        Some(caveat) => format!("{}; {}", finding.detail, caveat::text(caveat)).into(),
    }
}

#[cfg(test)]
pub(crate) fn fixture() -> Vec<Finding> {
    vec![
        Finding::ok("kernel", "Linux 6.1.0 on x86_64"),
        Finding::degraded("tracefs", "not mounted").advice("mount it"),
        Finding::missing("sock_diag", "first line\n  second \x1b[2Jline"),
    ]
}
