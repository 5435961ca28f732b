//! A compressed stream as a sequence of frames. One that is damaged does not hide those after it.

use std::{
    io::{self, BufRead, BufReader, Read},
    mem,
};

use zstd::stream::read::Decoder;

/// How a frame begins, and how one that is skipped begins after its first byte, `0x50` to `0x5f` (RFC 8878).
const FRAME: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];

/// Whether a stream that begins so is compressed.
pub fn begins(magic: &[u8]) -> bool {
    magic == FRAME || matches!(magic, [0x50..=0x5f, rest @ ..] if *rest == SKIPPABLE)
}

/// What could not be decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damage {
    /// Frames, or stretches between frames, with others after them.
    pub frames: u64,
    /// What is wrong with the first one.
    pub reason: Option<String>,
    /// Why the last one could not be read to its end.
    pub cut: Option<String>,
}

/// Reads what the frames of a stream hold. A damaged one ends with a line end.
pub struct Frames<R: Read> {
    place: Place<R>,
    /// The error in the frame before: what it means depends on whether another one follows.
    error: Option<String>,
    damage: Damage,
}

enum Place<R: Read> {
    /// Before a frame, or amid something else.
    Between(Source<R>),
    In(Decoder<'static, Source<R>>),
    AtEnd,
}

impl<R: Read> Frames<R> {
    /// Reads from a stream that [`begins`] as compressed.
    pub fn new(input: R) -> Self {
        Self {
            place: Place::Between(Source {
                back: Vec::new(),
                input: BufReader::new(input),
            }),
            error: None,
            damage: Damage::default(),
        }
    }

    /// What was damaged so far.
    pub fn damage(&self) -> &Damage {
        &self.damage
    }

    /// Goes to the next frame.
    fn next(&mut self, mut input: Source<R>) -> io::Result<Place<R>> {
        let (found, skipped) = input.find()?;
        if skipped > 0 && self.error.is_none() {
            self.error = Some("no compressed data".into());
        }
        if let Some(error) = self.error.take() {
            if !found {
                self.damage.cut = Some(error);
            } else {
                self.damage.frames += 1;
                self.damage.reason.get_or_insert(error);
            }
        }
        Ok(match found {
            true => Place::In(Decoder::with_buffer(input)?.single_frame()),
            false => Place::AtEnd,
        })
    }
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            self.place = match mem::replace(&mut self.place, Place::AtEnd) {
                Place::AtEnd => return Ok(0),
                Place::Between(input) => self.next(input)?,
                Place::In(mut decoder) => match decoder.read(out) {
                    Ok(0) => Place::Between(decoder.finish()),
                    Ok(bytes) => {
                        self.place = Place::In(decoder);
                        return Ok(bytes);
                    }
                    // Errors of the file itself have an OS error number.
                    Err(error) if error.raw_os_error().is_some() => return Err(error),
                    Err(error) => {
                        self.error = Some(error.to_string());
                        self.place = Place::Between(decoder.finish());
                        // What there was of a line is not the beginning of the next frame's.
                        out[0] = b'\n';
                        return Ok(1);
                    }
                },
            };
        }
    }
}

/// The stream, with what was read too far put back.
struct Source<R> {
    back: Vec<u8>,
    input: BufReader<R>,
}

impl<R: Read> Source<R> {
    /// Goes to where a frame begins; returns whether there is one, and how many bytes there were before it.
    fn find(&mut self) -> io::Result<(bool, u64)> {
        let (mut last, mut taken) = ([0; 4], 0_u64);
        loop {
            let buffer = self.fill_buf()?;
            if buffer.is_empty() {
                return Ok((false, taken));
            }
            let mut used = 0;
            for byte in buffer {
                last.rotate_left(1);
                last[3] = *byte;
                used += 1;
                if taken + used >= 4 && begins(&last) {
                    break;
                }
            }
            taken += used;
            let found = taken >= 4 && begins(&last);
            self.consume(usize::try_from(used).unwrap_or(usize::MAX));
            if found {
                self.back.splice(0..0, last);
                return Ok((true, taken - 4));
            }
        }
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?.read(out)?;
        self.consume(bytes);
        Ok(bytes)
    }
}

impl<R: Read> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.back.is_empty() {
            true => self.input.fill_buf(),
            false => Ok(&self.back),
        }
    }

    fn consume(&mut self, amount: usize) {
        match self.back.is_empty() {
            true => self.input.consume(amount),
            false => drop(self.back.drain(..amount)),
        }
    }
}
