//! Views: each turns what was found into one kind of output. They write nothing and ask no terminal;
//! that is the sinks' part. A new output is a file here and an arm in its folder's `choose`.

pub mod doctor;
pub mod hist;
pub mod log;
pub mod parts;
pub mod stuck;

/// One kind of output of a `T`: a snapshot, a report, the findings about a machine, a record of a
/// log.
pub trait View<T: ?Sized> {
    /// Appends what is shown of `item`: whole lines, each with its end.
    fn show(&mut self, item: &T, page: &Page, out: &mut Vec<u8>);

    /// A line that comes first wherever the output begins, without its end.
    fn heading(&self) -> Option<&str> {
        None
    }

    /// Whether programs read it: then nothing may stand between items, and what people are to be told
    /// beside them goes elsewhere.
    fn is_for_programs(&self) -> bool {
        false
    }

    /// What people are to be told of `item` where it is not in what is shown: not yet fit for a
    /// terminal.
    fn warnings(&self, item: &T) -> Vec<String> {
        let _ = item;
        Vec::new()
    }
}

/// For whom an output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: JSON Lines.
    Json,
}

impl Format {
    /// JSON where it is `wanted`, else text.
    #[must_use]
    pub fn json_if(wanted: bool) -> Self {
        if wanted { Self::Json } else { Self::Text }
    }
}

/// How much room there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Page {
    /// Characters in a line of the terminal; `None` without one.
    pub width: Option<usize>,
    /// Lines of a screen on which all has to fit; `None` where there may be more.
    pub height: Option<usize>,
}

impl Page {
    /// As much room as is wanted.
    pub const UNLIMITED: Self = Self {
        width: None,
        height: None,
    };
}
