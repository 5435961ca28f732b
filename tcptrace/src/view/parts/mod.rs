//! Parts that views share: ages, tables, addresses, text that is fit for a terminal.

pub mod absent;
pub mod address;
pub mod age;
pub mod candidates;
pub mod caveat;
pub mod clean;
pub mod clock;
pub mod confinement;
pub mod escaping;
pub mod number;
pub mod stamp;
pub mod style;
