//! What each command gives up after its start.

use std::path::Path;

use crate::{
    model::sandbox::{Capability, Needs, WRITER, Work},
    sink::messages,
    source::machine::{cgroup, sandbox},
    view::parts::{clean::clean, confinement::text},
};

/// Gives up what is not needed, and says what holds if the user asks how it works here.
pub fn confine(needs: &Needs, verbose: bool) {
    let held = sandbox::confine(needs);
    if verbose {
        messages::tell(clean(&text(&held)));
    }
}

/// The same for one that looks at the machine.
pub fn confine_looking(needs: &Needs, verbose: u8) {
    cgroup::find_by_mounting();
    confine(needs, verbose > 0);
}

/// What a log needs whose lines go to files, or to the screen.
pub fn of_log(to_files: bool) -> Needs {
    Needs::of(match to_files {
        true => Work::LogToFiles,
        false => Work::Log,
    })
}

/// What the thread keeps that writes a log to this file: it may have to open that anew. A folder of logs is always
/// this user's.
pub fn of_writer(file: Option<&Path>) -> &'static [Capability] {
    let needs_override = file.is_some_and(|file| sandbox::needs_override(&[file]));
    if needs_override { WRITER } else { &[] }
}

/// Gives up the capabilities of a thread that starts before the rest, except these.
pub fn confine_thread(keeps: &[Capability]) {
    if let Err(error) = sandbox::give_up_capabilities(keeps) {
        messages::tell(format_args!(
            "a thread keeps capabilities that it does not need: {error}"
        ));
    }
}
