//! `cargo xtask role`: what the demo and the benchmarks start in their own network namespace.

use crate::role::{churn, hold, http, queue};
use anyhow::Result;
use std::{
    net::{IpAddr, SocketAddr},
    process::ExitCode,
};

/// Be a process of the demo or of a benchmark, which takes orders on its standard input
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub struct Args {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, clap::Subcommand)]
enum Role {
    HttpServer {
        address: SocketAddr,
    },
    HttpPool {
        comm: String,
        server: SocketAddr,
    },
    QueueServer {
        address: SocketAddr,
    },
    QueueClients {
        server: SocketAddr,
    },
    Churn,
    Hold {
        comm: String,
        address: IpAddr,
        established: usize,
        stuck: usize,
    },
}

/// Is the process until its orders end.
pub fn run(args: &Args) -> Result<ExitCode> {
    match &args.role {
        Role::HttpServer { address } => http::serve(*address),
        Role::HttpPool { comm, server } => http::pool(comm, *server),
        Role::QueueServer { address } => queue::serve(*address),
        Role::QueueClients { server } => queue::call(*server),
        Role::Churn => churn::run(),
        Role::Hold {
            comm,
            address,
            established,
            stuck,
        } => hold::run(comm, *address, *established, *stuck),
    }?;
    Ok(ExitCode::SUCCESS)
}
