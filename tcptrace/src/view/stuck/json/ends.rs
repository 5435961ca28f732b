//! An end of a connection in JSON.

use serde::{Serialize, Serializer};

use crate::model::socket::Endpoint;

/// An address and a port.
#[derive(Serialize)]
pub struct EndpointRecord {
    #[serde(serialize_with = "display")]
    address: std::net::IpAddr,
    port: Option<u16>,
}

fn display<T: std::fmt::Display, S: Serializer>(value: &T, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(value)
}

/// Port 0 is not known.
pub fn endpoint(end: Endpoint) -> EndpointRecord {
    EndpointRecord {
        address: end.address,
        port: Some(end.port).filter(|port| *port != 0),
    }
}
