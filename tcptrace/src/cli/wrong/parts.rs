//! What messages about a command line are made of.

use std::ffi::OsString;

use clap::{
    Arg, Command, Error,
    error::{ContextKind, ContextValue},
};

use crate::cli::wrong::tree::{self, Place, value_name};

/// Makes text fit for a terminal.
pub type Clean = fn(&str) -> String;

/// A message in the making: what happened, lines that say why, and what to try.
pub struct Message {
    what: String,
    /// Lines that say why.
    pub why: Vec<String>,
    advice: String,
}

impl Message {
    /// What happened, and what to try.
    pub fn new(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: Vec::new(),
            advice: advice.into(),
        }
    }

    /// The same with a line that says why.
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    /// All of it.
    pub fn text(&self) -> String {
        let why = self.why.iter().map(|line| format!("\n  {line}"));
        let why: String = why.collect();
        format!("{}{why}\n  try: {}", self.what, self.advice)
    }
}

/// A value as it is repeated: in quotes where it would not be seen or be taken for several.
pub fn quoted(value: &str, clean: Clean) -> String {
    let text = clean(value);
    match text.is_empty() || text.contains([' ', '\'']) {
        true => format!("'{text}'"),
        false => text,
    }
}

/// `a`, `a or b`, `a, b or c`.
pub fn either(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// The error with where it is.
pub struct Wrong<'a> {
    /// All commands.
    pub root: &'a Command,
    /// What the library found.
    pub error: &'a Error,
    /// The command line without the program's name.
    pub arguments: &'a [OsString],
    /// Where it leads.
    pub place: Place<'a>,
    /// What makes its text fit for a terminal.
    pub clean: Clean,
}

impl Wrong<'_> {
    /// What the error repeats of the command line: the first of it, as it was typed.
    pub fn typed(&self, kind: ContextKind) -> String {
        match self.error.get(kind) {
            Some(ContextValue::String(text)) => text.clone(),
            Some(ContextValue::Strings(texts)) => texts.first().cloned().unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// The same, all of it.
    pub fn several(&self, kind: ContextKind) -> Vec<String> {
        match self.error.get(kind) {
            Some(ContextValue::String(text)) => vec![text.clone()],
            Some(ContextValue::Strings(texts)) => texts.clone(),
            _ => Vec::new(),
        }
    }

    /// The option that the error is about.
    pub fn option(&self, kind: ContextKind) -> Option<&Arg> {
        self.named(&self.typed(kind))
    }

    /// The option that the error names as `--name <VALUE>`.
    pub fn named(&self, text: &str) -> Option<&Arg> {
        let name = text.split([' ', '[', '=']).next().unwrap_or_default();
        let positional = || {
            let mut all = self.place.command.get_positionals();
            all.find(|one| text.contains(value_name(one).unwrap_or("?")))
        };
        tree::find(self.place.command, name).or_else(positional)
    }

    /// What shows all options of the command.
    pub fn help(&self) -> String {
        format!("{} --help", self.place.called())
    }
}
