//! Every socket under its true process, for `tcptrace log` and `tcptrace hist`.
//!
//! A table keeps each socket's state, since when, and whose it is; it learns of owners where they
//! act: at connect and listen (in `transitions`), at accept (in `accept`), and of sockets from before
//! by a walk over descriptors (in `seed`).

mod accept;
mod counters;
mod destroy;
mod follow;
mod owner;
mod read_sock;
mod seed;
mod table;
mod transitions;
