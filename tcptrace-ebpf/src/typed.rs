//! Pointers whose type the verifier knows.

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
