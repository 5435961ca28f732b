//! `tcptrace doctor`.

use clap::Args;

use crate::model::request::DoctorRequest;

/// What the command can be used for.
pub const EXAMPLES: &str = "\
Examples:
  sudo tcptrace doctor             whether it works here, and what is limited
  sudo tcptrace doctor --all       also what is fine
  sudo tcptrace doctor --json | jq '.works'";

/// What else there is to know.
pub const NOTES: &str = "\
What this machine allows is tried, not derived from the kernel's version.
Exit code: 0 if tcptrace works here, also with limits; 1 if it does not.";

/// Options of `tcptrace doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Show also what is fine, and all that was found
    #[arg(long)]
    all: bool,
    /// Write one line of JSON (schema tcptrace.doctor/1), which always has all
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// The request.
    pub fn request(self) -> DoctorRequest {
        DoctorRequest {
            all: self.all,
            json: self.json,
        }
    }
}
