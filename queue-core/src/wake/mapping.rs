//! The shared mapping of the wake file: the one place where memory is shared with other processes.
//!
//! Used by `wake.rs` alone. As long as a [`Mapping`] lives, its first four bytes are a valid atomic number, because the
//! file is at least that long when it is mapped and nobody ever shortens it.

use std::fs::File;
use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU32;

use rustix::mm::{MapFlags, ProtFlags};

use super::LENGTH;

#[expect(clippy::cast_possible_truncation, reason = "4096 fits every usize")]
const MAPPED: usize = LENGTH as usize;

/// The wake file in memory, shared with every process that maps it.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<AtomicU32>,
}

impl Mapping {
    /// Maps the file, which must be at least [`LENGTH`] long. The mapping outlives `file`.
    #[expect(unsafe_code, reason = "mapping memory that other processes share")]
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a null hint lets the kernel choose fresh addresses, so nothing that exists is replaced.
        let start = unsafe {
            rustix::mm::mmap(ptr::null_mut(), MAPPED, access, MapFlags::SHARED, file, 0)
        }?;
        let start =
            NonNull::new(start.cast()).expect("mmap without MAP_FIXED never gives the null page");
        Ok(Self { start })
    }

    /// The generation: the first four bytes of the file, in the byte order of the machine.
    #[expect(unsafe_code, reason = "reading memory that other processes share")]
    pub(super) fn generation(&self) -> &AtomicU32 {
        // SAFETY: the mapping is page-aligned, readable, writable and longer than four bytes, every bit pattern is a
        // u32, and it stays until `drop`. Other processes change it by atomic operations only, and the file is never
        // shortened, so its first page stays backed.
        unsafe { self.start.as_ref() }
    }
}

impl Drop for Mapping {
    #[expect(unsafe_code, reason = "giving shared memory back")]
    fn drop(&mut self) {
        // SAFETY: exactly what `of` mapped, and references to it do not outlive `self`.
        let unmapped = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), MAPPED) };
        debug_assert!(
            unmapped.is_ok(),
            "a mapping of our own can be given back: {unmapped:?}"
        );
    }
}

// SAFETY: the mapping belongs to the process, not to a thread, and is only reached through an atomic.
#[expect(unsafe_code, reason = "a pointer is not Send by itself")]
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Mapping` gives nothing but `&AtomicU32`.
#[expect(unsafe_code, reason = "a pointer is not Sync by itself")]
unsafe impl Sync for Mapping {}
