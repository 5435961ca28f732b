//! Very many network namespaces.

use std::{
    collections::BTreeSet,
    io::Write,
    net::{Shutdown, TcpListener, TcpStream},
};

use anyhow::{Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testbed::Netns;

use crate::{
    harness::{case::Cases, place::Place},
    run::{log::LogTool, snapshot::Snapshot, tool::Tool},
};

pub fn add(cases: &mut Cases) {
    cases.add("many_namespaces", namespaces).alone().here();
}

const COUNT: usize = 500;

/// A connection in CLOSE_WAIT: the listener, the end that closed, and the end that waits.
type Leak = (TcpListener, TcpStream, TcpStream);

fn leak() -> std::io::Result<Leak> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (server, _) = listener.accept()?;
    client.write_all(b"?")?;
    client.shutdown(Shutdown::Write)?;
    Ok((listener, client, server))
}

/// Every namespace is looked into, also by those commands that enter it, and with few descriptors.
fn namespaces() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let more = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, more)?;
    let namespaces = (0..COUNT)
        .map(|_| Netns::new())
        .collect::<Result<Vec<_>>>()?;
    let leaks = namespaces.iter().map(|netns| Ok(netns.run(leak)??));
    let leaks = leaks.collect::<Result<Vec<Leak>>>()?;
    // The tool gets the usual limit.
    setrlimit(Resource::Nofile, limit)?;
    let expected: BTreeSet<u64> = namespaces.iter().map(Netns::inode).collect();
    let pid = std::process::id().to_string();
    let whole = |look: &Snapshot, how: &str| {
        let found = (look.sockets.iter()).filter_map(|socket| socket.netns);
        let found: BTreeSet<u64> = found.collect();
        ensure!(
            found == expected,
            "{how}: {} of {COUNT} are shown",
            found.len()
        );
        Ok(())
    };
    for walk in ["auto", "proc"] {
        let words = [
            "stuck",
            "--json",
            "--once",
            "--older-than",
            "0s",
            "--pid",
            &pid,
            "--walk",
            walk,
        ];
        let outcome = Tool::start(Place::AsIs, &words)?.wait()?.success()?;
        for look in outcome.snapshots()? {
            whole(&look, walk)?;
        }
    }
    let words = [
        "stuck",
        "--json",
        "--older-than",
        "0s",
        "--interval",
        "100ms",
        "--pid",
        &pid,
    ];
    let mut tool = Tool::start(Place::AsIs, &words)?;
    whole(&tool.fresh()?, "live")?;
    tool.end()?;
    // What a log says is still open.
    let log = LogTool::start(Place::AsIs, &["--json", "--pid", &pid])?;
    let log = log.end()?;
    let found = log.open.iter().filter_map(|line| line.subject.netns);
    let found: BTreeSet<u64> = found.collect();
    ensure!(
        found == expected,
        "log: {} of {COUNT} are still open",
        found.len()
    );
    drop(leaks);
    Ok(())
}
