//! `sock_diag`: what the kernel lists of its sockets, one network namespace at a time.

pub mod ask;
pub mod sock_diag;
pub mod wire;
