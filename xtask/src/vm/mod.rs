//! Other kernels: Debian's, booted in QEMU, to run the live tests there that depend on the kernel.
//!
//! A guest is a kernel and an initramfs with three static programs: `vm-init` as its init, `tcptrace`, and the
//! live tests. Neither root nor a disk image is needed. The kernel's console goes to a file; what the tests print
//! comes over a second serial port, so that a kernel message never stands in the middle of a line of theirs.
//!
//! Guests are always emulated: /dev/kvm is not there on most CI machines, and where machines are nested it may
//! open and then hang.

pub mod arch;
pub mod guest;
pub mod image;
pub mod job;
pub mod kernels;
pub mod matrix;
pub mod outcome;
pub mod programs;
pub mod progress;
pub mod store;
pub mod table;
