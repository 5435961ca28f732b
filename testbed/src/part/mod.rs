//! The parts that processes of the demo and of the benchmarks play: this executable, run again.
//!
//! They are not [actors](crate::actor). Actors execute one order at a time, so that the true state of each socket can
//! be recorded; parts run by themselves like a real program, as fast or as many as possible.

mod churn;
mod hold;
mod http;
mod namespaces;
mod obey;
mod player;
mod queue;

pub use churn::Lap;
pub use player::Player;

use std::{
    ffi::OsString,
    net::{IpAddr, SocketAddr},
    process::ExitCode,
};

use anyhow::{Context, Result};
use obey::{LIFETIME, begin, number, obey, say};
use serde::{Deserialize, Serialize};

/// The first argument of a program that plays a part; the second is the [`Part`].
const PLAY: &str = "part";

/// The parts that a process can play. It takes orders, of a few words each, on its standard input.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The demo's HTTP server, which takes no orders.
    HttpServer {
        /// Where it listens.
        address: SocketAddr,
    },
    /// A client of it with a pool. An order is `fetch COUNT PAUSE_MILLISECONDS`.
    HttpPool {
        /// Its name.
        comm: String,
        /// Where the server listens.
        server: SocketAddr,
    },
    /// The demo's server that accepts late or never. An order is `accept COUNT`.
    QueueServer {
        /// Where it listens.
        address: SocketAddr,
    },
    /// The clients of it. An order is `call COUNT PATIENCE_MILLISECONDS`.
    QueueClients {
        /// Where the server listens.
        server: SocketAddr,
    },
    /// The loop that opens and closes connections. An order is `orderly MILLISECONDS` or `reset MILLISECONDS`, its
    /// answer a [`Lap`].
    Churn,
    /// A holder of many connections.
    Hold {
        /// Its name.
        comm: String,
        /// The address of both ends.
        address: IpAddr,
        /// How many healthy sockets to hold: two for each connection.
        established: usize,
        /// How many sockets to hold in CLOSE_WAIT.
        stuck: usize,
    },
    /// A listener, and other processes with a listener in a network namespace of their own, which end with it. An order
    /// is `time-wait COUNT` (leave this many connections in TIME_WAIT) or `end` (end the other processes).
    Namespaces {
        /// How many other processes.
        others: usize,
    },
    /// One of these other processes, which takes no orders.
    Sleeper,
}

impl Part {
    /// Plays the part until the orders end.
    fn play(&self) -> Result<()> {
        match self {
            Self::HttpServer { address } => http::serve(*address),
            Self::HttpPool { comm, server } => http::pool(comm, *server),
            Self::QueueServer { address } => queue::serve(*address),
            Self::QueueClients { server } => queue::call(*server),
            Self::Churn => churn::run(),
            Self::Hold {
                comm,
                address,
                established,
                stuck,
            } => hold::run(comm, *address, *established, *stuck),
            Self::Namespaces { others } => namespaces::keep(*others),
            Self::Sleeper => namespaces::sleep(),
        }
    }
}

/// Plays a part when the arguments (without the program's name) say so, and returns when its orders end.
///
/// An executable that starts [players](Player) must call this before anything else, because they are that executable,
/// run again.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter();
    if arguments.next()? != PLAY {
        return None;
    }
    let part = arguments.next().unwrap_or_default();
    Some(match play(&part.to_string_lossy()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("part: {error:#}");
            ExitCode::FAILURE
        }
    })
}

fn play(part: &str) -> Result<()> {
    let part: Part =
        serde_json::from_str(part).with_context(|| format!("{part:?} is not a part"))?;
    part.play()
}
