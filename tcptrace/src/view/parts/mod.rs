//! What views are made of: ages, tables, addresses, text that is fit for a terminal.

pub mod age;
pub mod clean;
pub mod container;
pub mod endpoint;
pub mod escaping;
pub mod put;
pub mod stamp;
pub mod style;
pub mod table;
