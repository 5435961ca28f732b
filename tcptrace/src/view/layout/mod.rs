//! How text fits into the room that there is: columns, wrapped sentences, and what is left in ASCII.

pub mod headline;
pub mod middle;
pub mod paint;
pub mod plain;
pub mod table;
pub mod wrap;
