//! A command line that can be read, but cannot be done.

/// What is wrong with the command line, found out when it was put to use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// An option's value is none here.
    #[error("invalid value '{value}' for '--{option}': {reason}")]
    Value {
        /// The option's long name without dashes.
        option: &'static str,
        /// What was given.
        value: String,
        /// Why it is none.
        reason: String,
    },
    /// What was asked for cannot be done as a whole.
    #[error("{0}")]
    Request(String),
}
