//! The buffers of one stream, used again when the consumer is done with them.
//!
//! A fresh buffer of this size costs the kernel a page fault for each 4 KiB.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

/// So many idle buffers are kept: one on its way to the consumer, one being read.
const MAX_IDLE: usize = 2;

/// The buffers of one stream.
#[derive(Debug)]
pub(super) struct Pool {
    buffer_bytes: usize,
    idle: Mutex<Vec<Vec<u8>>>,
}

impl Pool {
    pub(super) fn new(buffer_bytes: usize) -> Self {
        Self {
            buffer_bytes,
            idle: Mutex::default(),
        }
    }

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
            buffer: idle.unwrap_or_else(|| vec![0; bytes]),
            filled: 0,
            pool: Arc::clone(self),
        };
        if loan.buffer.len() < bytes {
            loan.buffer.resize(bytes, 0);
        }
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
        if idle.len() < MAX_IDLE && self.buffer.len() == self.pool.buffer_bytes {
            idle.push(std::mem::take(&mut self.buffer));
        }
    }
}
