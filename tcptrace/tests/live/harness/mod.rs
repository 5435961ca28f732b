//! What every test stands on: the list of tests, the circumstances that the tool is run in, what this kernel cannot do.

pub mod case;
pub mod kernel;
pub mod place;
