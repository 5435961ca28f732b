//! Real sockets and processes whose true state is known, for the live tests, the demo and the benchmarks.
//!
//! A [`Netns`] is a private network that only has a loopback. [`Actor`]s are processes in it: this executable, run
//! again, which executes one order at a time. A [`Stage`] is a server and a client in one namespace. It brings sockets
//! into CLOSE_WAIT and records, for each one, everything that a tracer should find out about it: a [`Truth`], or a
//! [`History`] of a socket from its first to its last transition.
//!
//! [`part`]s are for the demo and the benchmarks: processes that run by themselves like a real program.
//!
//! Nothing outlives its owner. Every actor asks the kernel to kill it when the thread that started it ends, and that
//! thread ends when the namespace is dropped, also after a panic. An actor also ends when its input ends.
//!
//! It needs no other program (no `ip`, no shell), so it also runs in a bare initramfs.

pub mod actor;
pub mod clock;
mod network;
pub mod part;
mod scene;

pub use actor::{Actor, Beside, Hiding, Keeper, Order, Other, Reply, Socket};
pub use network::{Device, Netns, loopback_up, state};
pub use scene::{
    Caller, Family, History, How, Pair, Role, Side, Span, Stage, Step, Truth, Whose, timed,
};
