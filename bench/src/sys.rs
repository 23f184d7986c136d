//! Memory that the X server writes pixels into, for the peer of screenshots.

#![expect(unsafe_code, reason = "mmap has no safe wrapper")]

use std::{io, os::fd::OwnedFd, ptr, slice};

use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create},
    mm::{MapFlags, ProtFlags, mmap, munmap},
};

/// A block of memory, mapped here, that the X server can map too.
#[derive(Debug)]
pub(crate) struct Shared {
    start: ptr::NonNull<u8>,
    len: usize,
    file: OwnedFd,
}

impl Shared {
    /// Maps `len` zeroed bytes. `len` is not 0.
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        let file = memfd_create("bench", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, len as u64)?;
        // Its length stays, so that no read can fault.
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW)?;
        // SAFETY: a new mapping of a whole file at an address of the kernel's choice overlaps
        // nothing.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                len,
                ProtFlags::READ,
                MapFlags::SHARED,
                &file,
                0,
            )
        }?;
        let start = ptr::NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len, file })
    }

    /// Another descriptor of the memory.
    pub(crate) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.file.try_clone()
    }

    /// What is in it. The X server writes only while a request for it is unanswered, and the one
    /// who makes it has `self` for itself.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is readable, that long, lives as long as `self`, and is not
        // written to meanwhile (see above).
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the address and the length are those of `mmap`, and nobody borrows the bytes.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}
