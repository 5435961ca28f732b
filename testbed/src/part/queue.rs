//! The second part of the demo: a server that accepts late or never, and clients that do not wait for it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use anyhow::Result;

use super::{begin, number, obey, say};

/// The server. An order is `accept COUNT`: serve this many waiting connections properly.
pub fn serve(address: SocketAddr) -> Result<()> {
    begin("job-queue")?;
    let listener = TcpListener::bind(address)?;
    say("ready")?;
    obey(|words| {
        for _ in 0..number(words, 1)? {
            let (mut connection, _) = listener.accept()?;
            connection.read_to_end(&mut Vec::new())?;
        }
        Ok("done".into())
    })
}

/// The clients. An order is `call COUNT PATIENCE_MILLISECONDS`: connect, send a request, wait for this long, give up.
pub fn call(server: SocketAddr) -> Result<()> {
    begin("worker")?;
    say("ready")?;
    obey(|words| {
        let connect = || -> Result<_> {
            let mut connection = TcpStream::connect(server)?;
            connection.write_all(b"job?\n")?;
            Ok(connection)
        };
        let count: usize = number(words, 1)?;
        let waiting = (0..count).map(|_| connect()).collect::<Result<Vec<_>>>()?;
        thread::sleep(Duration::from_millis(number(words, 2)?));
        drop(waiting);
        Ok("done".into())
    })
}
