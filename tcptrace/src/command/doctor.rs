//! `tcptrace doctor`: what this kernel and these privileges allow.

use crate::{
    command::Outcome,
    model::{
        finding::{Finding, Status, verdict},
        request::DoctorRequest,
        sandbox::{Needs, Work},
    },
    sink::screen::{Follow, Screen},
    source::{doctor::examine, machine::sandbox},
    view::{Format, doctor, parts::confinement::text},
};

/// Runs the command.
///
/// # Errors
/// When the output cannot be written.
pub fn run(request: DoctorRequest) -> anyhow::Result<Outcome> {
    let mut findings = examine::all();
    findings.push(confinement());
    let view = doctor::choose(Format::json_if(request.json), request.all);
    Screen::new(view, Follow::Below).show(&findings)?;
    // The view has said it.
    Ok(match verdict(&findings) {
        Status::Missing => Outcome::Unfit,
        Status::Ok | Status::Degraded => Outcome::Done,
    })
}

/// Whether a command can give up what it does not need after its start. It is tried: afterwards nothing can
/// be examined.
fn confinement() -> Finding {
    const NAME: &str = "confinement";
    let held = sandbox::confine(&Needs::of(Work::Doctor));
    match held.is_whole() {
        true => Finding::ok(NAME, text(&held)),
        false => Finding::degraded(NAME, text(&held)).advice(
            "allow what is missing: tcptrace works without it, but keeps more than it needs",
        ),
    }
}
