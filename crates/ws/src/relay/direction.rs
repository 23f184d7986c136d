//! One direction of a session: what was read from its source, follows the frames in it, and
//! goes to its sink.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pool::{Buffer, Chunk};
use crate::frame::{Follower, Header};

/// What a read brought.
#[derive(Debug)]
pub(super) enum Filled {
    /// Bytes, which may all have been dropped.
    Some,
    /// The source has ended, by an end of file or by an error.
    Eof,
}

/// What the sink has done with the bytes written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sink {
    /// Passed on.
    Flushed,
    /// It may still hold some.
    Unflushed,
    /// It is gone, and what is read is dropped.
    Gone,
}

/// A direction's state. At most one chunk is between source and sink, so a sink that takes
/// nothing stops the source by plain backpressure.
#[derive(Debug)]
pub(super) struct Direction {
    name: &'static str,
    log_frames: bool,
    pub(super) follower: Follower,
    /// Bytes that the handshake read past its end.
    ahead: Bytes,
    chunk: Option<Chunk>,
    sink: Sink,
    /// Bytes passed on.
    pub(super) bytes: u64,
}

impl Direction {
    pub(super) fn new(name: &'static str, ahead: Bytes, log_frames: bool) -> Self {
        Self {
            name,
            log_frames,
            follower: Follower::new(),
            ahead,
            chunk: None,
            sink: Sink::Flushed,
            bytes: 0,
        }
    }

    /// Whether the sink has all that was read.
    pub(super) const fn is_flushed(&self) -> bool {
        self.chunk.is_none() && !matches!(self.sink, Sink::Unflushed)
    }

    /// Whether a frame of our own may be written to the sink now.
    pub(super) const fn is_clear(&self) -> bool {
        self.is_flushed() && self.follower.is_between()
    }

    /// Drops what is in flight and all that will be read.
    pub(super) fn discard(&mut self) {
        self.sink = Sink::Gone;
        self.chunk = None;
    }

    /// Queues a short frame of our own; only when [`Self::is_clear`].
    pub(super) fn inject(&mut self, frame: &[u8]) {
        let mut buffer = Buffer::take();
        buffer.bytes_mut()[..frame.len()].copy_from_slice(frame);
        self.chunk = Some(Chunk::new(buffer, frame.len()));
    }

    /// Writes until the sink has everything.
    pub(super) fn poll_drain<W>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
    ) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + Unpin,
    {
        while let Some(chunk) = &mut self.chunk {
            let n = ready!(Pin::new(&mut *sink).poll_write(cx, chunk.rest()))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            chunk.advance(n);
            self.sink = Sink::Unflushed;
            if chunk.rest().is_empty() {
                self.chunk = None;
            }
        }
        if self.sink == Sink::Unflushed {
            ready!(Pin::new(sink).poll_flush(cx))?;
            self.sink = Sink::Flushed;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once, at most `limit` bytes; only when nothing is in flight.
    pub(super) fn poll_fill<R>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        limit: usize,
    ) -> Poll<Filled>
    where
        R: AsyncRead + Unpin,
    {
        let mut buffer = Buffer::take();
        let space = buffer.bytes_mut();
        let limit = limit.min(space.len());
        let space = &mut space[..limit];
        let n = if self.ahead.is_empty() {
            let mut read = ReadBuf::new(space);
            if ready!(Pin::new(source).poll_read(cx, &mut read)).is_err() {
                return Poll::Ready(Filled::Eof);
            }
            read.filled().len()
        } else {
            let n = self.ahead.len().min(limit);
            self.ahead.copy_to_slice(&mut space[..n]);
            n
        };
        if n == 0 {
            return Poll::Ready(Filled::Eof);
        }
        if self.sink != Sink::Gone {
            let passed = self.follow(&buffer.bytes_mut()[..n]);
            self.bytes += passed as u64;
            if passed > 0 {
                self.chunk = Some(Chunk::new(buffer, passed));
            }
        }
        Poll::Ready(Filled::Some)
    }

    /// Returns how many of `bytes` may pass.
    fn follow(&mut self, bytes: &[u8]) -> usize {
        let (name, log) = (self.name, self.log_frames);
        self.follower.feed(bytes, |header| {
            if log {
                log_header(name, header);
            }
        })
    }
}

fn log_header(direction: &str, header: &Header) {
    tracing::info!(
        direction,
        opcode = header.opcode,
        fin = header.fin,
        length = header.length,
        fault = header.fault().map(tracing::field::debug),
        "devtools frame"
    );
}
