//! The common behaviour of all parts: a part has its own name, executes one line at a time, and ends in time.

use std::{
    ffi::CString,
    io::{BufRead, Write, stdin, stdout},
    process, thread,
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, Signal};

/// No part is ever needed for longer. The limit ends a part that is left over for an unforeseen reason.
pub const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// The start of every part: it takes its own name, and never outlives the process that started it.
pub fn begin(comm: &str) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::thread::set_name(&CString::new(comm)?)?;
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        ..limit
    };
    rustix::process::setrlimit(Resource::Nofile, all).context("cannot allow more descriptors")?;
    thread::spawn(|| {
        thread::sleep(LIFETIME);
        process::exit(1);
    });
    Ok(())
}

/// Sends a line to the process that started this part.
pub fn say(line: &str) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Does `work` for each line of input and answers with its result, until the input ends. Any order may begin with
/// `after MILLISECONDS`.
pub fn obey(mut work: impl FnMut(&[&str]) -> Result<String>) -> Result<()> {
    for line in stdin().lock().lines() {
        let line = line?;
        let words: Vec<_> = line.split_whitespace().collect();
        let mut words = &words[..];
        if words.first() == Some(&"after") {
            thread::sleep(Duration::from_millis(number(words, 1)?));
            words = &words[2..];
        }
        say(&work(words).with_context(|| format!("cannot do {line:?}"))?)?;
    }
    Ok(())
}

/// The number at `index` of an order.
pub fn number<T: std::str::FromStr>(words: &[&str], index: usize) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let word = words.get(index).context("a number is missing")?;
    word.parse()
        .with_context(|| format!("{word:?} is not a number"))
}
