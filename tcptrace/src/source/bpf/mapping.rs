//! Files and maps of BPF in this process's memory.

use std::{
    io,
    os::fd::AsFd,
    ptr::{self, NonNull},
    slice,
};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A part of memory, mapped until dropped.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory belongs to the process and not to a thread.
unsafe impl Send for Mapping {}

impl Mapping {
    /// The file, to be read.
    ///
    /// # Errors
    /// When it cannot be mapped.
    pub fn private(file: impl AsFd, length: usize) -> io::Result<Self> {
        Self::map(file, length, ProtFlags::READ, MapFlags::PRIVATE)
    }

    /// The values of an array of BPF, shared with the kernel.
    ///
    /// # Errors
    /// When it cannot be mapped.
    pub fn shared(map: impl AsFd, length: usize) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        Self::map(map, length, access, MapFlags::SHARED)
    }

    fn map(file: impl AsFd, length: usize, access: ProtFlags, flags: MapFlags) -> io::Result<Self> {
        // SAFETY: at a place of the kernel's choice, so that nothing else is there.
        let start = unsafe { mmap(ptr::null_mut(), length, access, flags, file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// All of it. Nobody writes to it: it is a file that does not change.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: as long as mapped, until dropped.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }

    /// A copy of the value at `index`, of a type of integers. The kernel may write at the same time:
    /// then it is neither the old nor the new one.
    ///
    /// # Panics
    /// When it is not within the mapping.
    #[must_use]
    pub fn read<T: Copy>(&self, index: usize) -> T {
        assert!(
            (index + 1) * size_of::<T>() <= self.length,
            "within the map"
        );
        // SAFETY: within the mapping, which begins at a page.
        unsafe { self.start.cast::<T>().add(index).read_volatile() }
    }

    /// Writes the value at `index`.
    ///
    /// # Panics
    /// When it is not within the mapping.
    pub fn write<T: Copy>(&mut self, index: usize, value: T) {
        assert!(
            (index + 1) * size_of::<T>() <= self.length,
            "within the map"
        );
        // SAFETY: as above; it is writable.
        unsafe { self.start.cast::<T>().add(index).write_volatile(value) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by this value, and nothing refers to it any more.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}
