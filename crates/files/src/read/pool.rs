//! The buffers that files are read into, used again when the consumers are done with them.
//!
//! A fresh buffer of this size costs the kernel a page fault for each 4 KiB.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

/// So many idle buffers are kept, which is all that they cost when nobody reads. A stream uses
/// two: one on its way to the consumer, one being read.
const MAX_IDLE: usize = 8;

/// The buffers of all streams.
#[derive(Debug)]
pub(crate) struct Pool {
    buffer_bytes: usize,
    idle: Mutex<Vec<Vec<u8>>>,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            buffer_bytes: super::CHUNK_BYTES,
            idle: Mutex::default(),
        }
    }
}

impl Pool {
    /// Lets `read` fill up to `bytes` bytes of a buffer.
    pub(super) fn fill(
        self: &Arc<Self>,
        bytes: usize,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Bytes> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut loan = Loan {
            buffer: idle.unwrap_or_else(|| vec![0; self.buffer_bytes]),
            filled: 0,
            pool: Arc::clone(self),
        };
        let bytes = bytes.min(loan.buffer.len());
        loan.filled = read(&mut loan.buffer[..bytes])?;
        Ok(Bytes::from_owner(loan))
    }
}

/// A buffer on its way, returned on drop.
#[derive(Debug)]
struct Loan {
    buffer: Vec<u8>,
    filled: usize,
    pool: Arc<Pool>,
}

impl AsRef<[u8]> for Loan {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut idle = self
            .pool
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(std::mem::take(&mut self.buffer));
        }
    }
}
