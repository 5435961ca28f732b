//! Compressed lines: frames that can each be read without the others, so that a file that was cut, or whose
//! writer was killed, loses one frame at most.

use std::{
    io,
    time::{Duration, Instant},
};

use zstd::{bulk::Compressor, zstd_safe::CParameter};

use crate::sink::whole_lines::WholeLines;

/// How old the first line of a frame may be. Shorter frames would cost space.
const OLDEST: Duration = Duration::from_secs(1);
/// How many bytes of lines a frame has at most, but for the last of them.
const LARGEST: usize = 1 << 20;
/// The fastest of the ordinary levels.
const LEVEL: i32 = 1;

/// Lines that wait for the end of their frame.
pub struct Frames {
    compressor: Compressor<'static>,
    lines: Vec<u8>,
    begun: Instant,
}

impl Frames {
    /// Nothing waits.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn new() -> io::Result<Self> {
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(Self {
            compressor,
            lines: Vec::new(),
            begun: Instant::now(),
        })
    }

    /// Adds lines; writes them if they are many.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, lines: &[u8], file: &mut WholeLines) -> io::Result<()> {
        if self.lines.is_empty() {
            self.begun = Instant::now();
        }
        self.lines.extend_from_slice(lines);
        match self.lines.len() {
            0..LARGEST => Ok(()),
            _ => self.write(file),
        }
    }

    /// Whether what waits should be written.
    pub fn is_due(&self) -> bool {
        !self.lines.is_empty() && self.begun.elapsed() >= OLDEST
    }

    /// Puts this before what waits.
    pub fn put_first(&mut self, begin: &[u8]) {
        self.lines.splice(0..0, begin.iter().copied());
    }

    /// Makes what waits old enough.
    #[cfg(test)]
    pub fn age(&mut self) {
        self.begun -= OLDEST;
    }

    /// Writes what waits as a frame.
    ///
    /// # Errors
    /// When the file cannot be written; then the lines wait on.
    pub fn write(&mut self, file: &mut WholeLines) -> io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        file.write_whole(&self.compressor.compress(&self.lines)?)?;
        self.lines.clear();
        Ok(())
    }
}
