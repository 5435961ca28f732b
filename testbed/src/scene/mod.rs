//! Scenes of sockets, and the truth about them.

mod history;
mod stage;
mod truth;

pub use history::{Caller, History, How, Span, Step, Whose, timed};
pub use stage::{Family, Pair, Stage};
pub use truth::{Role, Side, Truth};
