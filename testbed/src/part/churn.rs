//! A loop that opens, uses and closes connections as fast as one thread can: the load for measuring the cost of
//! tracing.
//!
//! Both ends are in one thread, so that a round is always the same sequence of transitions, and the scheduler does not
//! influence the measurement.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use rustix::{
    net::sockopt,
    time::{ClockId, clock_gettime},
};

use super::{begin, number, obey, say};

/// How a connection ends.
#[derive(Clone, Copy)]
enum Close {
    /// By a FIN from each side: 10 transitions, one of them into CLOSE_WAIT and one out of it.
    Orderly,
    /// By a reset: no socket is ever in CLOSE_WAIT.
    Reset,
}

/// Runs the loop. An order is `orderly MILLISECONDS` or `reset MILLISECONDS`, its answer a [`Lap`].
pub fn run() -> Result<()> {
    begin("churn")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    say("ready")?;
    obey(|words| {
        let close = match words.first() {
            Some(&"orderly") => Close::Orderly,
            Some(&"reset") => Close::Reset,
            _ => bail!("an order must be `orderly` or `reset`"),
        };
        let length = Duration::from_millis(number(words, 1)?);
        Ok(lap(&listener, address, close, length)?.to_line())
    })
}

fn lap(listener: &TcpListener, address: SocketAddr, close: Close, length: Duration) -> Result<Lap> {
    let (start, cpu) = (Instant::now(), cpu_time());
    let mut connections = 0;
    while start.elapsed() < length {
        // Reading the clock costs little compared with a connection, but not nothing.
        for _ in 0..8 {
            one(listener, address, close)?;
            connections += 1;
        }
    }
    Ok(Lap {
        connections,
        wall: start.elapsed(),
        cpu: cpu_time().saturating_sub(cpu),
    })
}

fn one(listener: &TcpListener, address: SocketAddr, close: Close) -> Result<()> {
    let mut byte = [0];
    let mut client = TcpStream::connect(address)?;
    let (mut server, _) = listener.accept()?;
    client.write_all(b"?")?;
    server.read_exact(&mut byte)?;
    server.write_all(b"!")?;
    client.read_exact(&mut byte)?;
    if matches!(close, Close::Reset) {
        sockopt::set_socket_linger(&client, Some(Duration::ZERO))?;
        drop(client);
        return Ok(());
    }
    drop(client);
    if server.read(&mut byte)? != 0 {
        bail!("received more than was sent");
    }
    Ok(())
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// The result of a lap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lap {
    /// Connections opened and closed.
    pub connections: u64,
    /// Elapsed time.
    pub wall: Duration,
    /// CPU time.
    pub cpu: Duration,
}

impl Lap {
    fn to_line(self) -> String {
        format!(
            "{} {} {}",
            self.connections,
            self.wall.as_nanos(),
            self.cpu.as_nanos()
        )
    }

    /// Reads an answer.
    pub fn parse(line: &str) -> Result<Self> {
        let words: Vec<_> = line.split_whitespace().collect();
        Ok(Self {
            connections: number(&words, 0)?,
            wall: Duration::from_nanos(number(&words, 1)?),
            cpu: Duration::from_nanos(number(&words, 2)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Lap;

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let lap = Lap {
            connections: 5,
            wall: Duration::from_millis(2),
            cpu: Duration::from_nanos(7),
        };
        assert_eq!(
            Lap::parse(&lap.to_line()).expect("it was just written"),
            lap
        );
        assert!(Lap::parse("5 x 7").is_err());
        assert!(Lap::parse("5").is_err());
    }
}
