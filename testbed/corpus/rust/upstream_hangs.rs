//! A server with four workers, each of which asks another server for every request, without a time-out. That one hangs:
//! what is accepted waits in the channel.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread,
};

fn serve(mut connection: TcpStream) -> std::io::Result<()> {
    connection.read(&mut [0; 4096])?;
    let mut upstream = TcpStream::connect("127.0.0.1:9090")?;
    upstream.write_all(b"GET /stock HTTP/1.1\r\nHost: stock\r\n\r\n")?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    connection.write_all(&answer)
}

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:8080")?;
    let (sender, receiver) = mpsc::channel::<TcpStream>();
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..4 {
        let receiver = Arc::clone(&receiver);
        thread::spawn(move || {
            while let Ok(Ok(connection)) = receiver.lock().map(|receiver| receiver.recv()) {
                let _ = serve(connection);
            }
        });
    }
    for connection in listener.incoming() {
        let _ = sender.send(connection?);
    }
    Ok(())
}
