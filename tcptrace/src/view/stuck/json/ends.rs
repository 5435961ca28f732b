//! Ends of connections in JSON.

use serde::{Serialize, Serializer};

use crate::model::{socket::Endpoint, stuck::group::Ends};

/// An address and a port.
#[derive(Serialize)]
pub struct EndpointRecord {
    #[serde(serialize_with = "display")]
    address: std::net::IpAddr,
    port: Option<u16>,
}

/// The end of this machine that the sockets of a listener share.
#[derive(Serialize)]
pub struct LocalRecord {
    address: Option<String>,
    port: u16,
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

/// What the ends of several sockets have in common.
pub fn ends(ends: Ends) -> (Option<LocalRecord>, Option<EndpointRecord>) {
    match ends {
        Ends::To(remote) => (None, Some(endpoint(remote))),
        Ends::At {
            port,
            address,
            from,
        } => {
            let local = LocalRecord {
                address: address.map(|address| address.to_string()),
                port,
            };
            // Each peer has its own port.
            let peer = from.map(|address| endpoint(Endpoint { address, port: 0 }));
            (Some(local), peer)
        }
    }
}
