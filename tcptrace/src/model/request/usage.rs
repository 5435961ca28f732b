//! A command line that parses, but cannot be executed.

/// An error in the command line that is found during execution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// An option's value is not valid on this machine or for this recording.
    #[error("--{option} {value}: {reason}")]
    Value {
        /// The option's long name without dashes.
        option: &'static str,
        /// The value that was given.
        value: String,
        /// Why it is not valid; it may end with `; give` and what to give instead.
        reason: String,
        /// What else there is to know, a line each.
        more: Vec<String>,
        /// What to try, if `reason` does not say it.
        advice: Option<String>,
    },
    /// The request as a whole cannot be executed.
    #[error("{reason}")]
    Request {
        /// What cannot be done, and why.
        reason: String,
        /// What to try.
        advice: String,
    },
}
