//! `tcptrace doctor`.

use clap::Args;

use crate::model::request::DoctorRequest;

/// Options of `tcptrace doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Write one line of JSON (schema tcptrace.doctor/1)
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// The request.
    pub fn request(self) -> DoctorRequest {
        DoctorRequest { json: self.json }
    }
}
