//! The parts that processes of the demo and of the benchmarks play: this executable, run again.
//!
//! They are not [actors](crate::actor). Actors execute one order at a time, so that the true state of each socket can
//! be recorded; parts run by themselves like a real program, as fast or as many as possible.

mod churn;
mod customers;
mod hold;
mod namespaces;
mod obey;
mod player;
mod prices;
mod shop;

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
    /// The demo's price service, which answers 503 and takes no orders.
    Prices {
        /// Where it listens.
        address: SocketAddr,
    },
    /// The demo's server, which asks the price service over a pool that leaks. It takes no orders.
    Shop {
        /// Where it listens.
        address: SocketAddr,
        /// Where the price service listens.
        prices: SocketAddr,
        /// How many requests it serves at a time.
        threads: usize,
        /// How many connections the pool allows.
        pool: usize,
    },
    /// The shop's customers. An order is `call COUNT PAUSE_MILLISECONDS PATIENCE_MILLISECONDS`.
    Customers {
        /// Where the shop listens.
        shop: SocketAddr,
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
            Self::Prices { address } => prices::serve(*address),
            Self::Shop {
                address,
                prices,
                threads,
                pool,
            } => shop::serve(*address, *prices, *threads, *pool),
            Self::Customers { shop } => customers::call(*shop),
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
