//! The read-only settings that the user side fills in before loading.

use tcptrace_common::Settings;

/// Read only through [`setting!`]: a plain read would let the compiler fold today's zeros in.
// SAFETY: all zeros is a value of these integers.
#[unsafe(no_mangle)]
pub static SETTINGS: Settings = unsafe { core::mem::zeroed() };

/// The value of a field of [`SETTINGS`], which the verifier takes for a constant.
macro_rules! setting {
    ($($field:tt)+) => {
        // SAFETY: a reference to a static is valid for reads.
        unsafe { core::ptr::read_volatile(&raw const $crate::settings::SETTINGS.$($field)+) }
    };
}
pub(crate) use setting;
