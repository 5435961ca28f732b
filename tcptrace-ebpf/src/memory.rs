//! Reading the kernel's memory.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

/// Reads integers from any kernel address; gives 0 if it cannot be read, like a typed load. That needs
/// no branch: the helper fills what it cannot read with zeros (`bpf_probe_read_kernel_common`,
/// `kernel/trace/bpf_trace.c`).
#[inline(always)]
pub fn peek<T: Copy + Default>(address: *const u8, offset: u32) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    let source = address.wrapping_add(offset as usize).cast();
    // SAFETY: the helper writes this many bytes and checks the address; any bits are integers.
    unsafe {
        bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, source);
        value.assume_init()
    }
}
