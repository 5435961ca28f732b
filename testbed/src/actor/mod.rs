//! Actors: processes that read one order per line and answer with one line; and [`Actor`], the side that gives the
//! orders.

mod act;
mod children;
mod dial;
mod elsewhere;
mod handle;
mod hide;
mod inherit;
mod listen;
mod mailboxes;
mod orders;
mod other;
mod threads;
mod traffic;

pub use handle::Actor;
pub use orders::{Beside, Hiding, Keeper, Order, Other, Reply, Socket};

use std::ffi::{CString, OsString};
use std::io::{BufRead, Write, stdin, stdout};
use std::process::ExitCode;

use act::Act;
use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, Signal};

/// The name of an actor's other threads, which differs from the actor's own.
pub const THREAD: &str = "leaky-thread";

/// Runs an actor if the arguments (without the program's name) say so, and returns when its orders end.
///
/// An executable that starts actors must call this before anything else, because actors are that executable, run again.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter();
    if arguments.next()? != "actor" {
        return None;
    }
    let comm = arguments.next().unwrap_or_else(|| "actor".into());
    Some(match play(&comm.to_string_lossy(), arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("actor: {error:#}");
            ExitCode::FAILURE
        }
    })
}

fn play(comm: &str, inherited: impl Iterator<Item = OsString>) -> Result<()> {
    // Ends with the thread that started this process. If that is already gone, the orders are at their end too, and the
    // actor ends.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::thread::set_name(&CString::new(comm)?)?;
    if comm == children::CHILD {
        return children::wait_for_end();
    }
    many_descriptors()?;
    let mut act = Act::new(inherit::adopt(inherited)?);
    answer(&Reply::Done)?;
    match obey(&mut act)? {
        Next::End => Ok(()),
        Next::OtherThread => threads::go_on(move || {
            obey(&mut act)?;
            Ok(())
        }),
    }
}

/// What follows the orders that a thread has executed.
enum Next {
    End,
    /// Another thread executes the next ones.
    OtherThread,
}

fn obey(act: &mut Act) -> Result<Next> {
    for line in stdin().lock().lines() {
        let order: Order = serde_json::from_str(&line?).context("cannot read an order")?;
        if matches!(order, Order::LeaveMainThread) {
            return Ok(Next::OtherThread);
        }
        let last = matches!(order, Order::ConnectAndEnd { .. });
        answer(
            &act.perform(order)
                .unwrap_or_else(|error| Reply::Failed(format!("{error:#}"))),
        )?;
        if last {
            break;
        }
    }
    Ok(Next::End)
}

fn answer(reply: &Reply) -> Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    let mut out = stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}

/// Raises the limit of descriptors to the hard limit: a thousand sockets are more than the usual limit.
fn many_descriptors() -> Result<()> {
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    set_descriptors(maximum)
}

/// Lowers or raises the limit of descriptors, up to the hard limit.
fn limit_descriptors(limit: u64) -> Result<()> {
    set_descriptors(Some(limit))
}

fn set_descriptors(current: Option<u64>) -> Result<()> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current, ..limit })?;
    Ok(())
}
