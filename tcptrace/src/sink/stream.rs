//! A log on standard output: one line after another.

use std::io::{self, Write};

use crate::{
    model::transition::Record,
    sink::{Finished, Sink, blocked, lines::Lines},
    view::{Page, View},
};

/// Collects lines and writes many at once.
pub struct Stream<W> {
    out: W,
    lines: Lines,
    /// The room that there is now: a terminal may change its size.
    page: fn() -> Page,
}

impl<W: Write> Stream<W> {
    /// Writes to `out`, which should be unbuffered or line-buffered.
    pub fn new(out: W, view: Box<dyn View<Record>>, page: fn() -> Page) -> Self {
        let mut lines = Lines::new(view);
        lines.set_page(page());
        Self { out, lines, page }
    }
}

impl<W: Write + Send> Sink for Stream<W> {
    fn begin(&mut self, first_line: &[u8]) {
        self.lines.begin(first_line);
    }

    fn record(&mut self, record: &Record) -> io::Result<()> {
        if self.lines.add(record) {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.set_page((self.page)());
        self.lines.hand_on(|lines| {
            blocked::watch(|| {
                self.out.write_all(lines)?;
                self.out.flush()
            })
        })
    }

    fn finish(&mut self) -> io::Result<Finished> {
        self.lines.end();
        self.flush()?;
        Ok(Finished {
            lines: self.lines.count(),
            files: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::log::{fixtures, json::Json, text};

    #[test]
    fn nothing_is_lost_and_the_heading_comes_first() {
        let mut out = Vec::new();
        let view = text::Text::new(false, None);
        let mut stream = Stream::new(&mut out, Box::new(view), || Page::UNLIMITED);
        for _ in 0..1000 {
            stream.record(&fixtures::of(1, "a")).expect("memory");
        }
        let finished = stream.finish().expect("memory takes it");
        assert_eq!(finished.lines, 1000);
        let text = String::from_utf8(out).expect("text is UTF-8");
        assert!(text.starts_with("TIME"), "{text}");
        assert_eq!(text.lines().count(), 1001);
    }

    #[test]
    fn a_reader_that_went_away_is_a_broken_pipe() {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let mut stream = Stream::new(writer, Box::new(Json::default()), || Page::UNLIMITED);
        stream.record(&fixtures::of(1, "a")).expect("only memory");
        let error = stream.flush().expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
