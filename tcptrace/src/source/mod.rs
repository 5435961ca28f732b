//! The only module that uses BPF, netlink, `/proc` and files. Everything here produces plain facts:
//! a [`Look`](crate::model::stuck::look::Look) or a [`Record`](crate::model::transition::Record).

pub mod bpf;
pub mod clues;
pub mod diag;
pub mod doctor;
pub mod error;
pub mod machine;
pub mod recording;
pub mod track;
pub mod walk;
pub mod watch;
