//! Which processes have a socket open: two iterators that write one
//! [`HolderRecord`](tcptrace_common::HolderRecord) for each descriptor of a socket in the watched
//! state, of a listener, or of MPTCP (whose state says nothing about its subflows).
//!
//! `walk_files` walks a process's table inside the kernel (needs `bpf_loop`, 5.17). `each_file`
//! runs for every descriptor (needs `bpf_sock_from_file`, 5.11) and is slower.

mod each_file;
mod record;
mod walk_files;
