//! The demo's server: its request threads ask the price service over connections of a pool, which does not get back those
//! whose answer is not 200.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        mpsc::{Receiver, channel},
    },
    thread,
};

use anyhow::{Result, bail};

use super::{begin, obey, say};

/// Serves on `address`, with so many request `threads` and a `pool` of so many connections to the service.
pub fn serve(address: SocketAddr, prices: SocketAddr, threads: usize, pool: usize) -> Result<()> {
    begin("shop")?;
    let listener = TcpListener::bind(address)?;
    let pool = Arc::new(Pool {
        prices,
        most: pool,
        connections: Mutex::default(),
        given_back: Condvar::new(),
    });
    let (accepted, inbox) = channel();
    let inbox = Arc::new(Mutex::new(inbox));
    for _ in 0..threads {
        let (inbox, pool) = (Arc::clone(&inbox), Arc::clone(&pool));
        thread::Builder::new()
            .name("request".into())
            .spawn(move || work(&inbox, &pool))?;
    }
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            if accepted.send(connection).is_err() {
                return;
            }
        }
    });
    say("ready")?;
    obey(|_| bail!("the shop takes no orders"))
}

fn work(inbox: &Mutex<Receiver<TcpStream>>, pool: &Pool) {
    loop {
        let next = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(customer) = next else { return };
        // A customer that has gone away is not an error.
        let _ = answer(customer, pool);
    }
}

fn answer(mut customer: TcpStream, pool: &Pool) -> Result<()> {
    let mut request = [0; 512];
    if customer.read(&mut request)? == 0 {
        return Ok(());
    }
    let status = pool.ask()?;
    let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    Ok(customer.write_all(answer.as_bytes())?)
}

/// Connections to the price service.
struct Pool {
    prices: SocketAddr,
    most: usize,
    connections: Mutex<Connections>,
    given_back: Condvar,
}

#[derive(Default)]
struct Connections {
    /// How many there are, also those that are in use.
    count: usize,
    free: Vec<TcpStream>,
    forgotten: Vec<TcpStream>,
}

impl Pool {
    /// Asks for a price over one of them. Returns the status for the customer.
    fn ask(&self) -> Result<&'static str> {
        let mut connection = self.take()?;
        connection.write_all(b"GET /price HTTP/1.1\r\nHost: prices\r\n\r\n")?;
        let mut status = [0; 12];
        connection.read_exact(&mut status)?;
        let mut all = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if status.ends_with(b"200") {
            all.free.push(connection);
            self.given_back.notify_one();
            return Ok("200 OK");
        }
        // The bug that the demo shows: the customer gets an error, and the connection stays leased, with the rest of
        // the answer unread and the service's FIN ignored.
        all.forgotten.push(connection);
        Ok("502 Bad Gateway")
    }

    /// A free one, or a new one; where the pool allows no more, it waits until one is given back, for ever.
    fn take(&self) -> Result<TcpStream> {
        let mut all = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(free) = all.free.pop() {
                return Ok(free);
            }
            if all.count < self.most {
                all.count += 1;
                return Ok(TcpStream::connect(self.prices)?);
            }
            all = self
                .given_back
                .wait(all)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}
