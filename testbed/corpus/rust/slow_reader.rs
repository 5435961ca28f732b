//! A client that reads a list of 60 KB piece by piece, and does some work for each piece. The server has sent all of it, and
//! closed, long before the client is through.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

fn import() -> std::io::Result<()> {
    let mut connection = TcpStream::connect("127.0.0.1:8080")?;
    connection.write_all(b"GET /list HTTP/1.1\r\nHost: shop\r\n\r\n")?;
    let mut piece = [0; 200];
    while connection.read(&mut piece)? > 0 {
        thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}

fn main() {
    let start = |_| {
        thread::sleep(Duration::from_millis(100));
        thread::spawn(import)
    };
    let threads: Vec<_> = (0..25).map(start).collect();
    for thread in threads {
        let _ = thread.join();
    }
}
