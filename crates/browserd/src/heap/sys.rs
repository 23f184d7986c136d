//! Calls of the C library's allocator for which no safe wrappers exist.

#![expect(unsafe_code, reason = "mallopt, malloc_trim")]

/// Has all threads share one heap from now on. To be called before there are others.
pub(crate) fn share_one() {
    // SAFETY: the function takes no pointer.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Gives the memory that the allocator holds in reserve back to the kernel.
pub(crate) fn trim() {
    // SAFETY: the function takes no pointer, may be called at any time from any thread, and
    // moves nothing that is in use.
    unsafe { libc::malloc_trim(0) };
}
