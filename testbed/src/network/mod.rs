//! Network namespaces, and functions for the sockets in them.

pub mod netns;
pub mod sockets;
pub mod state;

pub use netns::Netns;
pub use sockets::loopback_up;
