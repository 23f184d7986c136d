//! The memory that a starting process works on: its stack, and two cells.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Bytes of the mapping. The child calls a few thin wrappers of system calls.
const BYTES: usize = 64 * 1024;
/// Bytes at the low end that nobody may touch.
const GUARD: usize = 4096;
/// Bytes at the high end for the cells; a stack begins at a multiple of 16.
const CELLS: usize = 64;

/// So many regions are kept for the next start. Each change of a mapping interrupts every
/// processor that the daemon runs on.
const MAX_IDLE: usize = 16;
static IDLE: Mutex<Vec<Region>> = Mutex::new(Vec::new());

/// Shared with the child, whether it borrows this process' memory or has a copy of it.
///
/// From the low end: a guard, the stack, the cells.
#[derive(Debug)]
pub(super) struct Region {
    start: *mut libc::c_void,
}

// SAFETY: the mapping is this value's alone; it belongs to no thread.
unsafe impl Send for Region {}

impl Region {
    /// One that was kept, with empty cells, or a new one.
    pub(super) fn take() -> io::Result<Self> {
        let kept = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.map_or_else(Self::new, Ok)
    }

    /// Keeps it for the next start. Its last child runs its program or has ended, has said
    /// nothing, and was this process' own user all the time.
    pub(super) fn keep(self) {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(self);
        }
    }

    fn new() -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory in use.
        let start = unsafe { libc::mmap(ptr::null_mut(), BYTES, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let region = Self { start };
        // SAFETY: the first page is this mapping's, and nothing refers to it.
        if unsafe { libc::mprotect(region.start, GUARD, libc::PROT_NONE) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(region)
    }

    /// Where the stack begins; it grows downwards.
    pub(super) fn stack_top(&self) -> *mut libc::c_void {
        self.start.wrapping_byte_add(BYTES - CELLS)
    }

    /// Where the child leaves its failure. It is zero before.
    pub(super) fn cell(&self) -> *const AtomicU64 {
        self.stack_top().cast_const().cast()
    }

    /// Where the kernel writes zero, if told to, once the child has let go of this memory.
    pub(super) fn in_use(&self) -> *const AtomicU32 {
        self.stack_top().wrapping_byte_add(8).cast_const().cast()
    }

    /// To be called before a start that tells the kernel of [`Self::in_use`].
    pub(super) fn lend(&self) {
        // SAFETY: as for the failure.
        unsafe { &*self.in_use() }.store(1, Ordering::Release);
    }

    /// Whether a child that it was lent to may still use it.
    pub(super) fn is_lent(&self) -> bool {
        // SAFETY: as for the failure. The kernel writes it as a whole.
        unsafe { &*self.in_use() }.load(Ordering::Acquire) != 0
    }

    /// The step and the error number that the child left.
    pub(super) fn failure(&self) -> Option<(u32, i32)> {
        // SAFETY: the cell is inside the mapping, aligned, zeroed by the kernel, and only ever
        // used as an atomic.
        let packed = unsafe { &*self.cell() }.load(Ordering::Acquire);
        let (step, errno) = (packed >> 32, packed & u64::from(u32::MAX));
        let step = u32::try_from(step).ok().filter(|step| *step != 0)?;
        Some((step, i32::try_from(errno).unwrap_or(0)))
    }
}

/// What [`Region::failure`] takes apart. An error number is small and positive.
pub(super) fn pack(step: u32, errno: i32) -> u64 {
    u64::from(step) << 32 | u64::from(errno.unsigned_abs())
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's alone, and no child runs on it any more.
        unsafe { libc::munmap(self.start, BYTES) };
    }
}
