//! `sock_diag`: what the kernel lists of its sockets, one network namespace at a time.

pub mod answer;
pub mod ask;
pub mod request;
pub mod sock_diag;
