//! Addresses with ports.

use std::net::IpAddr;

use crate::model::socket::Endpoint;

/// `10.0.0.7:443`, `[::1]:443`.
#[must_use]
pub fn endpoint(end: Endpoint) -> String {
    match end.address {
        IpAddr::V4(v4) => format!("{v4}:{}", end.port),
        IpAddr::V6(v6) => format!("[{v6}]:{}", end.port),
    }
}
