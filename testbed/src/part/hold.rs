//! A process that holds both ends of many connections, as the other sockets of the machine.

use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};

use anyhow::{Context, Result};

use super::{begin, obey, say};

/// Opens `established` sockets (two per connection) and `stuck` connections with one end in CLOSE_WAIT, on `address`,
/// and holds them until its orders end.
pub fn run(comm: &str, address: IpAddr, established: usize, stuck: usize) -> Result<()> {
    begin(comm)?;
    let listener = TcpListener::bind(SocketAddr::new(address, 0))?;
    let address = listener.local_addr()?;
    let connect = || -> Result<_> {
        let client = TcpStream::connect(address)?;
        Ok((client, listener.accept()?.0))
    };
    let mut held = Vec::with_capacity(established / 2 + stuck);
    for index in 0..established / 2 + stuck {
        let pair = connect().with_context(|| format!("cannot open connection {}", index + 1))?;
        if index < stuck {
            // The server's end is stuck from now on; the client's is in FIN_WAIT2.
            pair.0.shutdown(Shutdown::Write)?;
        }
        held.push(pair);
    }
    say("ready")?;
    obey(|_| Ok(String::new()))
}
