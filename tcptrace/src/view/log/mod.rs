//! What a log looks like: lines of JSON or text.

pub mod json;
pub mod summary;
pub mod text;

#[cfg(test)]
pub(crate) mod fixtures;

use crate::model::transition::Record;

/// Turns records into lines.
pub trait Lines {
    /// Appends the record's line and its end to `out`.
    fn line(&mut self, record: &Record, out: &mut Vec<u8>);

    /// A line that comes first, without its end.
    fn heading(&self) -> Option<&str>;
}

/// Lines of JSON or of text. `own_netns` is the inode number of the network namespace that goes
/// without saying.
#[must_use]
pub fn lines(json: bool, look: text::Look, own_netns: Option<u32>) -> Box<dyn Lines> {
    if json {
        Box::new(json::Json::default())
    } else {
        Box::new(text::Text::new(look, own_netns))
    }
}
