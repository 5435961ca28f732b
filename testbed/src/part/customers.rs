//! The demo's customers: they ask the shop, and give up after a while.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use anyhow::Result;

use super::{begin, number, obey, say};

/// An order is `call COUNT PAUSE_MILLISECONDS PATIENCE_MILLISECONDS`: one after the other connects, after a pause; each
/// waits for its answer for as long as its patience lasts, and closes.
pub fn call(shop: SocketAddr) -> Result<()> {
    begin("customers")?;
    say("ready")?;
    obey(|words| {
        let pause = Duration::from_millis(number(words, 2)?);
        let patience = Duration::from_millis(number(words, 3)?);
        let calls: Vec<_> = (0..number(words, 1)?)
            .map(|_| {
                thread::sleep(pause);
                // Whether there was an answer, is not their concern here.
                thread::spawn(move || drop(one(shop, patience)))
            })
            .collect();
        for call in calls {
            let _ = call.join();
        }
        Ok("done".into())
    })
}

fn one(shop: SocketAddr, patience: Duration) -> Result<()> {
    let mut connection = TcpStream::connect(shop)?;
    connection.set_read_timeout(Some(patience))?;
    connection.write_all(b"GET /basket HTTP/1.1\r\nHost: shop\r\n\r\n")?;
    connection.read_to_end(&mut Vec::new())?;
    Ok(())
}
