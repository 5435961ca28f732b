//! A client whose calls own a callback that owns the call: nothing frees such a cycle, and no collector comes by. Memory
//! safety does not help, as leaks are safe.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

type Callback = Box<dyn Fn(&[u8]) + Send + Sync>;

struct Call {
    connection: TcpStream,
    done: Mutex<Option<Callback>>,
    answers: Mutex<usize>,
}

impl Call {
    fn run(&self) -> std::io::Result<()> {
        (&self.connection).write_all(b"GET /item HTTP/1.1\r\nHost: shop\r\n\r\n")?;
        let mut answer = [0; 4096];
        let length = (&self.connection).read(&mut answer)?;
        if let Some(done) = &*self.done.lock().unwrap() {
            done(&answer[..length]);
        }
        Ok(())
    }
}

fn main() -> std::io::Result<()> {
    for _ in 0..100 {
        let call = Arc::new(Call {
            connection: TcpStream::connect("127.0.0.1:8080")?,
            done: Mutex::new(None),
            answers: Mutex::new(0),
        });
        let again = Arc::clone(&call);
        let done = move |_: &[u8]| *again.answers.lock().unwrap() += 1;
        *call.done.lock().unwrap() = Some(Box::new(done));
        call.run()?;
        thread::sleep(Duration::from_millis(50));
    }
    thread::sleep(Duration::from_secs(3600));
    Ok(())
}
