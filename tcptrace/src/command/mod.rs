//! The subcommands: each chooses a source, feeds the model and hands snapshots to a view.

mod counting;
mod doctor;
mod hist;
mod log;
mod replay;
mod screens;
mod session;
mod states;
mod stuck;
mod tracking;

use std::io;

use crate::{model::request::Request, source::error::StartError};

/// Runs the command of the request.
///
/// # Errors
/// When the command fails; the message is for the user. It is a
/// [`UsageError`](crate::model::request::UsageError) if the command line is wrong.
pub fn run(request: Request) -> anyhow::Result<()> {
    let result = match request {
        Request::Stuck(request) => stuck::run(&request),
        Request::States(request) => states::run(&request),
        Request::Log(request) => log::run(&request),
        Request::Hist(request) => hist::run(&request),
        Request::Replay(request) => replay::run(&request),
        Request::Doctor(request) => doctor::run(&request),
    };
    match result {
        Err(error) if is_closed_pipe(&error) => Ok(()),
        Err(error) if error.is::<StartError>() => {
            let more = "for details, run: tcptrace doctor (shows what works on this machine)";
            Err(anyhow::anyhow!("{error}\n  {more}"))
        }
        result => result,
    }
}

/// The reader of the output has closed it.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
