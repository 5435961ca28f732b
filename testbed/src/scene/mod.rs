//! Scenes of sockets, and all that is true of them.

mod history;
mod stage;
mod truth;

pub use history::{Caller, History, How, Span, Step, Whose, timed};
pub use stage::{Family, Pair, Stage};
pub use truth::{Role, Side, Truth};
