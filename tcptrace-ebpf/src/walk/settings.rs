//! The read-only settings that the user side fills in before loading.

use tcptrace_common::WalkSettings;

/// Only read this through [`setting!`]: with a plain read the compiler would use the initial zeros.
// SAFETY: all zeros is a value of these integers.
#[unsafe(no_mangle)]
pub static SETTINGS: WalkSettings = unsafe { core::mem::zeroed() };

/// The value of a field of [`SETTINGS`], which the verifier treats as a constant.
macro_rules! setting {
    ($($field:tt)+) => {
        // SAFETY: a reference to a static is valid for reads.
        unsafe { core::ptr::read_volatile(&raw const $crate::settings::SETTINGS.$($field)+) }
    };
}
pub(crate) use setting;
