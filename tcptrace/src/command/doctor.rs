//! `tcptrace doctor`: what this kernel and these privileges allow.

use anyhow::bail;

use crate::{
    model::{
        finding::{Status, verdict},
        request::DoctorRequest,
    },
    sink::screen::Screen,
    source::doctor::examine,
    view::{Format, doctor},
};

/// Runs the command.
///
/// # Errors
/// When the output cannot be written, or when `tcptrace` does not work here.
pub fn run(request: &DoctorRequest) -> anyhow::Result<()> {
    let findings = examine::all();
    let view = doctor::choose(Format::json_if(request.json));
    Screen::new(view, false).show(&findings)?;
    if verdict(&findings) == Status::Missing {
        bail!("tcptrace does not work here: see the findings marked as missing");
    }
    Ok(())
}
