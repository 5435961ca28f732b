//! Every socket with the process that really owns it, for `tcptrace log` and `tcptrace hist`.
//!
//! A table keeps each socket's state, the time at which it entered the state, and its owner. Owners
//! become known when they act: at connect and listen (in `transitions`) and at accept (in
//! `accept`). A walk over descriptors (in `seed`) finds the owners of sockets from before the
//! start.

mod accept;
mod counters;
mod destroy;
mod follow;
mod owner;
mod read_sock;
mod seed;
mod table;
mod transitions;
