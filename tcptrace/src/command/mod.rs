//! The subcommands: each chooses a source, feeds the model and hands snapshots to a view.

mod confinement;
mod counting;
mod doctor;
mod filters;
mod hist;
mod log;
mod replay;
mod screens;
mod session;
mod states;
mod stuck;
mod tracking;

use std::io;

use crate::{
    model::{
        request::{Request, StuckShow},
        stuck::snapshot::Snapshot,
    },
    source::{error::StartError, machine::pid_namespace},
};

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Done,
    /// More sockets are listed than the user allows.
    Over,
    /// `doctor` has said that `tcptrace` does not work here.
    Unfit,
}

impl Outcome {
    /// That of the last snapshot.
    fn of(show: &StuckShow, snapshot: &Snapshot) -> Self {
        let listed = snapshot.listed();
        match show.fail_over {
            Some(allowed) if listed > allowed => Self::Over,
            _ => Self::Done,
        }
    }
}

/// Runs the command of the request.
///
/// # Errors
/// When the command fails; the message is for the user. It is a
/// [`UsageError`](crate::model::request::UsageError) if the command line is wrong.
pub fn run(request: Request) -> anyhow::Result<Outcome> {
    let done = |()| Outcome::Done;
    // `doctor` says itself what it finds.
    if !matches!(request, Request::Replay(_) | Request::Doctor(_)) {
        pid_namespace::own_proc()?;
    }
    let result = match request {
        Request::Stuck(request) => stuck::run(&request),
        Request::States(request) => states::run(&request).map(done),
        Request::Log(request) => log::run(&request).map(done),
        Request::Hist(request) => hist::run(&request).map(done),
        Request::Replay(request) => replay::run(&request),
        Request::Doctor(request) => doctor::run(request),
    };
    match result {
        Err(error) if is_closed_pipe(&error) => Ok(Outcome::Done),
        Err(error) if error.is::<StartError>() => {
            let doctor = "tcptrace doctor, which says what works on this machine";
            let text = error.to_string();
            let what = match text.contains("\n  try: ") {
                true => "or",
                false => "try",
            };
            Err(anyhow::anyhow!("{text}\n  {what}: {doctor}"))
        }
        Err(error) => Err(advised(error)),
        Ok(outcome) => Ok(outcome),
    }
}

/// The error with what to try, where only the kernel's words say what happened.
fn advised(error: anyhow::Error) -> anyhow::Error {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    let advice = match cause.map(io::Error::kind) {
        Some(io::ErrorKind::NotFound) => "another path, or create the folder first: mkdir -p",
        Some(io::ErrorKind::PermissionDenied) => {
            "as root (sudo tcptrace), or with a path that you may use"
        }
        Some(io::ErrorKind::StorageFull) => "free some space, or write to another file system",
        _ => return error,
    };
    anyhow::anyhow!("{error:#}\n  try: {advice}")
}

/// The reader of the output has closed it.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
