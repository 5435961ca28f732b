//! Why a value is refused, and what to give instead.

use std::fmt::{self, Display};

/// Why a value is refused, in words that name what is wrong with it, and what to give instead. It may repeat the
/// value: not yet fit for a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What is wrong with it.
    pub why: String,
    instead: Instead,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Instead {
    /// A value of the same option.
    Value(String),
    /// A sentence.
    Words(String),
}

impl Refused {
    /// Refused, with a sentence that says what to give.
    pub fn new(why: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            instead: Instead::Words(advice.into()),
        }
    }

    /// Refused, with a value that would be taken.
    pub fn value(why: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            instead: Instead::Value(value.into()),
        }
    }

    /// What to give, in which the option's name with what comes between it and a value is `option`.
    pub fn advice(&self, option: &str) -> String {
        match &self.instead {
            Instead::Value(value) => format!("{option}{value}"),
            Instead::Words(words) => words.clone(),
        }
    }
}

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.instead {
            Instead::Value(value) => write!(f, "{}; give {value}", self.why),
            Instead::Words(words) => write!(f, "{}; {words}", self.why),
        }
    }
}

impl std::error::Error for Refused {}
