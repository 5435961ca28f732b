//! `sock_diag`: the kernel's list of sockets, one network namespace at a time.

pub mod answer;
pub mod ask;
pub mod request;
pub mod sock_diag;
pub mod tcp_info;
