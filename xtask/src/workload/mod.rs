//! Real sockets whose truth is known: what the live tests, the demo and the benchmarks run on.
//!
//! A [`Netns`] is a private network with only a loopback in it. [`Actor`]s are processes that live in it: this very
//! executable, run again, that does one thing at a time as told. A [`Stage`] is a server and a client in one
//! namespace, and brings sockets into CLOSE_WAIT while it notes, for each, everything a tracer should find out
//! about it: a [`Truth`].
//!
//! Nothing outlives its owner. Every actor asks the kernel to be killed with the thread that started it, and that
//! thread ends when the namespace is dropped, on a panic too; an actor also ends when its orders do.
//!
//! No other program is needed (no `ip`, no shell), so all of it also runs in a bare initramfs.

pub mod actor;
pub mod clock;
mod history;
mod netns;
mod orders;
mod process;
mod sockets;
mod stage;
mod truth;

pub use history::{Caller, History, How, Span, Step, Whose, timed};
pub use netns::Netns;
pub use orders::{Order, Reply, Socket};
pub use process::Actor;
pub use sockets::{loopback_up, state};
pub use stage::{Family, Pair, Stage};
pub use truth::{Role, Side, Truth};
