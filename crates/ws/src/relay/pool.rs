//! Buffers that sessions borrow while bytes are in flight: an idle session holds none.

use std::cell::RefCell;

/// Bytes of one buffer: a read takes at most this much.
pub(super) const BUFFER_BYTES: usize = 128 * 1024;
/// Buffers that a thread keeps for the next session; more are given back to the allocator.
const KEPT: usize = 4;

thread_local! {
    static POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that were read and that the other side has not taken yet.
#[derive(Debug)]
pub(super) struct Chunk {
    buffer: Buffer,
    start: usize,
    end: usize,
}

impl Chunk {
    /// The first `end` bytes of `buffer`.
    pub(super) const fn new(buffer: Buffer, end: usize) -> Self {
        Self {
            buffer,
            start: 0,
            end,
        }
    }

    /// What is left to be written.
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer.0[self.start..self.end]
    }

    /// Passes over `n` written bytes.
    pub(super) const fn advance(&mut self, n: usize) {
        self.start += n;
    }
}

/// A buffer that returns to the pool of the thread that drops it.
#[derive(Debug)]
pub(super) struct Buffer(Box<[u8]>);

impl Buffer {
    /// Takes a buffer from this thread's pool, or a new one.
    pub(super) fn take() -> Self {
        let kept = POOL.with_borrow_mut(Vec::pop);
        Self(kept.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice()))
    }

    /// All bytes; what earlier users left is still in them.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        // A thread that is ending has no pool any more; then the buffer is just freed.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < KEPT {
                pool.push(buffer);
            }
        });
    }
}
