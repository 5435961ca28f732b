//! Network namespaces, and functions for the sockets in them.

pub mod destroy;
pub mod device;
pub mod netns;
pub mod sockets;
pub mod state;

pub use device::Device;
pub use netns::Netns;
pub use sockets::loopback_up;
