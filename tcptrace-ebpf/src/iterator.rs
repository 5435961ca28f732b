//! The context that the kernel passes to an iterator's program.

use aya_ebpf::cty::c_void;

/// `struct bpf_iter__task { meta; task; }` and `struct bpf_iter__task_file { meta; task; fd; file; }`
/// (`kernel/bpf/task_iter.c`): each member takes 8 bytes.
pub struct IteratorContext(*const u64);

impl IteratorContext {
    #[inline(always)]
    pub fn new(ctx: *mut c_void) -> Self {
        Self(ctx.cast_const().cast())
    }

    #[inline(always)]
    pub fn word(&self, index: usize) -> u64 {
        // SAFETY: the verifier knows the context's size and types.
        unsafe { self.0.add(index).read_volatile() }
    }

    #[inline(always)]
    pub fn task(&self) -> *const u8 {
        self.word(1) as *const u8
    }
}
