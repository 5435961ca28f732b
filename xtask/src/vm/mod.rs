//! Boots other kernels, Debian's, in QEMU, and runs the live tests there that depend on the kernel.
//!
//! A guest is a kernel and an initramfs with three static programs: `vm-init` as its init, `tcptrace`, and the
//! live tests. It needs neither root nor a disk image. The kernel's console goes to a file. The output of the tests
//! uses a second serial port, so that no kernel message appears inside one of its lines.
//!
//! Guests are always emulated: most CI machines have no /dev/kvm, and in nested machines it may open and then hang.

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
