//! Reading the kernel's memory.

use aya_ebpf::helpers::bpf_probe_read_kernel;

/// A pointer whose type the verifier knows: it checks each load.
#[derive(Clone, Copy)]
pub struct TypedPtr(pub *const u8);

impl TypedPtr {
    /// Loads the member at `offset`.
    #[inline(always)]
    pub fn load<T: Copy>(self, offset: u32) -> T {
        // SAFETY: the verifier refuses the program unless the offset is within the type, and a load
        // through a stale pointer yields zeros instead of a fault.
        unsafe { self.0.add(offset as usize).cast::<T>().read_volatile() }
    }
}

/// Reads from any kernel address; returns 0 if it cannot be read, like a typed load.
#[inline(always)]
pub fn peek<T: Copy + Default>(address: *const u8, offset: u32) -> T {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel(address.wrapping_add(offset as usize).cast::<T>()) }
        .unwrap_or_default()
}
