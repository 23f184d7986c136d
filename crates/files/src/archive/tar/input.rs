//! The bytes of an archive, of which a block may be looked at before its time.

use std::io::{self, Read};

use super::header::{BLOCK_BYTES, Block};

/// Where an archive is read from.
#[derive(Debug)]
pub(super) struct Input<R> {
    reader: R,
    /// A block that was looked at; its last bytes are still to be read.
    ahead: Block,
    ahead_bytes: usize,
}

impl<R: Read> Input<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            ahead: [0; BLOCK_BYTES],
            ahead_bytes: 0,
        }
    }

    /// Looks at the next block without reading it; `None` if there is no whole one. It is called
    /// where all of the block before was read.
    pub(super) fn peek(&mut self) -> io::Result<Option<&Block>> {
        let mut block = [0; BLOCK_BYTES];
        let read = self.fill(&mut block)?;
        // What was read stands at the end.
        self.ahead[BLOCK_BYTES - read..].copy_from_slice(&block[..read]);
        self.ahead_bytes = read;
        Ok((read == BLOCK_BYTES).then_some(&self.ahead))
    }

    /// Reads until the buffer is full or the input ends. Returns how much was read.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ahead_bytes == 0 {
            return self.reader.read(buffer);
        }
        let left = &self.ahead[BLOCK_BYTES - self.ahead_bytes..];
        let read = left.len().min(buffer.len());
        buffer[..read].copy_from_slice(&left[..read]);
        self.ahead_bytes -= read;
        Ok(read)
    }
}
