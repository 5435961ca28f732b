//! A pseudo-terminal with a program in it, and the screen that results.

use std::{
    ffi::OsStr,
    fs::File,
    io::{Read as _, Write as _},
    num::NonZero,
    os::{fd::AsFd as _, unix::process::CommandExt as _},
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::{
    fs::{Mode, OFlags},
    process::{ioctl_tiocsctty, setsid},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use testbed::clock::patience;

use crate::run::tool::KilledWhenDropped;

/// Lines that the terminal remembers of what has left its screen.
const HISTORY: usize = 1000;

/// A terminal.
pub struct Terminal {
    child: KilledWhenDropped,
    keys: File,
    seen: Arc<Mutex<Seen>>,
    reader: JoinHandle<()>,
}

struct Seen {
    parser: vt100::Parser,
    raw: Vec<u8>,
}

impl Terminal {
    /// Starts the command as the terminal's first process, in a session of its own.
    pub fn start(mut command: Command, (rows, columns): (u16, u16)) -> Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let line = rustix::fs::open(&name, flags, Mode::empty())?;
        tcsetwinsize(&line, size(rows, columns))?;
        let copy = || -> Result<Stdio> { Ok(line.try_clone()?.into()) };
        command.stdin(copy()?).stdout(copy()?).stderr(copy()?);
        let own = move || {
            setsid()?;
            ioctl_tiocsctty(rustix::stdio::stdin())?;
            Ok(())
        };
        // SAFETY: between fork and exec, the closure only makes two system calls. It allocates nothing and takes no
        // lock.
        unsafe { command.pre_exec(own) };
        let child = KilledWhenDropped(command.spawn()?);
        drop(command);
        drop(line);
        let seen = Arc::new(Mutex::new(Seen {
            parser: vt100::Parser::new(cells(rows)?, cells(columns)?, HISTORY),
            raw: Vec::new(),
        }));
        let reader = read(File::from(master.try_clone()?), Arc::clone(&seen));
        Ok(Self {
            child,
            keys: File::from(master),
            seen,
            reader,
        })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The screen's lines.
    pub fn lines(&self) -> Vec<String> {
        let seen = self.seen();
        let screen = seen.parser.screen();
        screen
            .rows(0, u16::MAX)
            .map(|row| row.trim_end().to_owned())
            .collect()
    }

    /// The screen with what has left it, the oldest first.
    pub fn history(&self) -> usize {
        let mut seen = self.seen();
        let screen = seen.parser.screen_mut();
        screen.set_scrollback(usize::MAX);
        let lines = screen.scrollback();
        screen.set_scrollback(0);
        lines
    }

    /// All bytes that came.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.seen().raw).into_owned()
    }

    /// Types this.
    pub fn press(&mut self, keys: &[u8]) -> Result<()> {
        Ok(self.keys.write_all(keys)?)
    }

    /// Changes the terminal's size, as a user does.
    pub fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        self.seen()
            .parser
            .screen_mut()
            .set_size(cells(rows)?, cells(columns)?);
        Ok(tcsetwinsize(self.keys.as_fd(), size(rows, columns))?)
    }

    /// Waits until the screen is as it should be.
    pub fn until(&self, what: &str, holds: impl Fn(&[String]) -> bool) -> Result<Vec<String>> {
        let start = Instant::now();
        loop {
            let lines = self.lines();
            if holds(&lines) {
                return Ok(lines);
            }
            ensure!(
                start.elapsed() < patience(),
                "waited for {what}, but:\n{}",
                lines.join("\n")
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the program has ended, and all it wrote is on the screen.
    pub fn ended(&mut self) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.0.try_wait()? {
                // Nobody has the terminal open any more: the reader copies what is left, and ends.
                while !self.reader.is_finished() && start.elapsed() < patience() {
                    thread::sleep(Duration::from_millis(5));
                }
                return Ok(status);
            }
            ensure!(
                start.elapsed() < patience(),
                "it does not end:\n{}",
                self.lines().join("\n")
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Copies what the program writes to the emulated terminal, until the program has closed it.
fn read(mut from: File, seen: Arc<Mutex<Seen>>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.raw.extend_from_slice(&buffer[..count]);
            seen.parser.process(&buffer[..count]);
        }
    })
}

fn cells(count: u16) -> Result<NonZero<u16>> {
    NonZero::new(count).context("no terminal is that small")
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

/// A shell that controls jobs, without files of its user; `None` if there is none.
pub fn shell() -> Option<Command> {
    let mut shell = Command::new("bash");
    shell
        .args(["--norc", "--noprofile", "--noediting", "-i"])
        .env("PS1", "$ ")
        .env("HISTFILE", "");
    is_there(OsStr::new("bash")).then_some(shell)
}

fn is_there(program: &OsStr) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
