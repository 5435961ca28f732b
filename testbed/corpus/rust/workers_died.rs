//! A server whose workers end when a request has no path: the panic is one line in a log that nobody reads. The channel
//! lives on, because the main thread has its other end, too; so everything is accepted, and nothing is served.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread,
};

fn serve(mut connection: TcpStream) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let length = connection.read(&mut request)?;
    let request = String::from_utf8_lossy(&request[..length]);
    let path = request.split(' ').nth(1).unwrap();
    let body = format!("you asked for {path}");
    write!(
        connection,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
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
