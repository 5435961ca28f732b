//! `tcptrace doctor`: what this kernel and these privileges allow.

use std::io::Write as _;

use anyhow::bail;

use crate::{
    model::{
        finding::{Status, verdict},
        request::DoctorRequest,
    },
    source::doctor::examine,
    view::doctor,
};

/// Runs the command.
///
/// # Errors
/// When the output cannot be written, or when `tcptrace` does not work here.
pub fn run(request: &DoctorRequest) -> anyhow::Result<()> {
    let findings = examine::all();
    let mut out = anstream::stdout().lock();
    if request.json {
        writeln!(out, "{}", doctor::json(&findings)?)?;
    } else {
        write!(out, "{}", doctor::text(&findings))?;
    }
    out.flush()?;
    if verdict(&findings) == Status::Missing {
        bail!("something that is needed is missing");
    }
    Ok(())
}
