//! The demo's price service, which is out of order.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use anyhow::{Result, bail};

use super::{begin, obey, say};

const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 16\r\n\r\ntry again later\n";

/// Serves: reads a request, answers 503, closes.
pub fn serve(address: SocketAddr) -> Result<()> {
    begin("prices")?;
    let listener = TcpListener::bind(address)?;
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // A client that has gone away is not an error.
            let _ = answer(connection);
        }
    });
    say("ready")?;
    obey(|_| bail!("the service takes no orders"))
}

fn answer(mut connection: TcpStream) -> Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && connection.read(&mut byte)? != 0 {
        request.push(byte[0]);
    }
    Ok(connection.write_all(ANSWER)?)
}
