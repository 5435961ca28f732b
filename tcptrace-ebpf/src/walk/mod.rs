//! Which processes have a socket open, for `tcptrace stuck`.

pub mod walk_files;
