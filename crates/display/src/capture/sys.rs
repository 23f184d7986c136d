//! Memory that the X server writes pixels into.

#![expect(unsafe_code, reason = "mmap has no safe wrapper")]

use std::{io, os::fd::OwnedFd, ptr, slice};

use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create},
    mm::{MapFlags, ProtFlags, mmap, munmap},
};

/// A block of anonymous memory, mapped here and ready to be mapped by the X server.
#[derive(Debug)]
pub(super) struct Mapping {
    start: ptr::NonNull<u8>,
    len: usize,
    file: OwnedFd,
}

// SAFETY: the mapping belongs to this value alone and stays where it is; the pointer is not bound
// to a thread.
unsafe impl Send for Mapping {}
// SAFETY: through a shared reference the memory is only read.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` zeroed bytes. `len` is not 0.
    pub(super) fn new(len: usize) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = memfd_create("browserd-capture", flags)?;
        ftruncate(&file, len as u64)?;
        // The file keeps its length whatever the X server does, so that no read can fault.
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
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

    /// Another descriptor of the memory, to be sent to the X server.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.file.try_clone()
    }

    /// How many bytes it holds.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The first `len` bytes.
    ///
    /// The X server writes them only in answer to a request for it. There is none while a frame
    /// lends them out: `Grabber` takes a segment out of its pool for the time.
    pub(super) fn bytes(&self, len: usize) -> &[u8] {
        // SAFETY: the mapping is readable, at least that long, lives as long as `self`, and is
        // not written to meanwhile (see above).
        unsafe { slice::from_raw_parts(self.start.as_ptr(), len.min(self.len)) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the address and the length are those of `mmap`, and nobody borrows the bytes.
        // It can fail only for an address that is not a mapping.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}
