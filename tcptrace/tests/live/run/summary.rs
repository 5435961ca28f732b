//! The summary of a session of `stuck`.

use anyhow::{Context, Result};

/// The row of all sockets, and how many were there before.
#[derive(Debug, PartialEq, Eq)]
pub struct Summary {
    /// As it stands there: with `≥` if more may have entered.
    pub entered: String,
    /// Likewise.
    pub left: String,
    /// Stuck at the last look.
    pub still: String,
    /// The most that were stuck at once.
    pub most: String,
    /// How many were in the state before.
    pub before: String,
}

impl Summary {
    /// That in a text: without a terminal it has all columns.
    pub fn of(text: &str) -> Result<Self> {
        let find = || {
            let row = text
                .lines()
                .find(|line| line.split_whitespace().last() == Some("all"))?;
            let mut cells = row.split_whitespace().map(ToOwned::to_owned);
            let before = text.lines().find_map(|line| {
                let (before, _) = line.split_once(" in it before;")?;
                before.split(' ').next().map(ToOwned::to_owned)
            });
            Some(Self {
                entered: cells.next()?,
                left: cells.next()?,
                still: cells.next()?,
                most: cells.next()?,
                before: before?,
            })
        };
        find().with_context(|| format!("no summary: {text:?}"))
    }
}
