//! A command line that parses, but cannot be executed.

/// An error in the command line that is found during execution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// An option's value is not valid on this machine or for this recording.
    #[error("invalid value '{value}' for '--{option}': {reason}")]
    Value {
        /// The option's long name without dashes.
        option: &'static str,
        /// The value that was given.
        value: String,
        /// Why it is not valid.
        reason: String,
    },
    /// The request as a whole cannot be executed.
    #[error("{0}")]
    Request(String),
}
