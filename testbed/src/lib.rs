//! Real sockets and processes of which the truth is known: what the live tests, the demo and the benchmarks run on.
//!
//! A [`Netns`] is a private network with only a loopback in it. [`Actor`]s are processes that live in it: this very
//! executable, run again, that does one thing at a time as told. A [`Stage`] is a server and a client in one
//! namespace, and brings sockets into CLOSE_WAIT while it notes, for each, everything a tracer should find out
//! about it: a [`Truth`], or a [`History`] of a socket from first to last.
//!
//! [`part`]s are for the demo and the benchmarks: processes that run by themselves as a real program would.
//!
//! Nothing outlives its owner. Every actor asks the kernel to be killed with the thread that started it, and that
//! thread ends when the namespace is dropped, on a panic too; an actor also ends when its orders do.
//!
//! No other program is needed (no `ip`, no shell), so all of it also runs in a bare initramfs.

pub mod actor;
pub mod clock;
mod network;
pub mod part;
mod scene;

pub use actor::{Actor, Order, Reply, Socket};
pub use network::{Netns, loopback_up, state};
pub use scene::{
    Caller, Family, History, How, Pair, Role, Side, Span, Stage, Step, Truth, Whose, timed,
};
