//! The first part of the demo: an HTTP server that is out of order, and a client pool that does not give back
//! connections whose answer is not 200.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Result, bail};

use super::{begin, number, obey, say};

const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 16\r\n\r\ntry again later\n";

/// Serves: reads a request, answers 503, closes.
pub fn serve(address: SocketAddr) -> Result<()> {
    begin("api-server")?;
    let listener = TcpListener::bind(address)?;
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // A client that has gone away is not an error.
            let _ = answer(connection);
        }
    });
    say("ready")?;
    obey(|_| bail!("the server takes no orders"))
}

fn answer(mut connection: TcpStream) -> Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && connection.read(&mut byte)? != 0 {
        request.push(byte[0]);
    }
    Ok(connection.write_all(ANSWER)?)
}

/// A client with the pool. An order is `fetch COUNT PAUSE_MILLISECONDS`.
pub fn pool(comm: &str, server: SocketAddr) -> Result<()> {
    begin(comm)?;
    say("ready")?;
    let mut pool = Pool::default();
    obey(|words| {
        let pause = Duration::from_millis(number(words, 2)?);
        for _ in 0..number(words, 1)? {
            pool.fetch(server)?;
            thread::sleep(pause);
        }
        Ok("done".into())
    })
}

/// Connections: the free ones, and those in use.
#[derive(Default)]
struct Pool {
    free: Vec<TcpStream>,
    leased: Vec<TcpStream>,
}

impl Pool {
    fn fetch(&mut self, server: SocketAddr) -> Result<()> {
        let mut connection = match self.free.pop() {
            Some(connection) => connection,
            None => TcpStream::connect(server)?,
        };
        connection.write_all(b"GET /price HTTP/1.1\r\nHost: api\r\n\r\n")?;
        let mut status = [0; 12];
        connection.read_exact(&mut status)?;
        if status.ends_with(b"200") {
            self.free.push(connection);
        } else {
            // The bug that the demo shows: the client reports an error to the caller, but the connection stays leased,
            // with the rest of the answer unread and the server's FIN ignored.
            self.leased.push(connection);
        }
        Ok(())
    }
}
