//! The way from the thread that packs to the stream that is sent.

use std::{
    io::{self, Write},
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use browserd_blocking::{Work, waiting};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::omitted::Omitted;
use crate::{Error, Result};

/// The size of a chunk on its way.
const CHUNK_BYTES: usize = 128 * 1024;
/// So many chunks may wait for the consumer; then the packing waits.
const CHUNKS: usize = 4;

enum Message {
    Chunk(Bytes),
    Failed(Error),
    Done(Omitted),
}

/// An archive while it is packed. It ends with an error unless it is whole: whoever sends it must
/// then break off, so that nobody takes a part for the whole. Dropping it stops the packing.
#[derive(Debug)]
pub struct Packed {
    path: PathBuf,
    messages: mpsc::Receiver<Message>,
    /// The packing, and the leave to do it.
    packing: Option<(Work<()>, OwnedSemaphorePermit)>,
    over: bool,
    omitted: Omitted,
}

impl Packed {
    /// What the archive does not have; it is known when the stream has ended.
    #[must_use]
    pub fn omitted(&self) -> &Omitted {
        &self.omitted
    }
}

/// Where the packing writes to.
#[derive(Debug)]
pub(super) struct Pipe {
    messages: mpsc::Sender<Message>,
    chunk: BytesMut,
    broken: Arc<AtomicBool>,
}

/// Says how the packing ended.
#[derive(Debug)]
pub(super) struct Ending {
    messages: mpsc::Sender<Message>,
    broken: Arc<AtomicBool>,
}

pub(super) fn pipe(path: PathBuf) -> (Pipe, Ending, Packed) {
    let (sender, messages) = mpsc::channel(CHUNKS);
    let broken = Arc::new(AtomicBool::new(false));
    let pipe = Pipe {
        messages: sender.clone(),
        chunk: BytesMut::with_capacity(CHUNK_BYTES),
        broken: Arc::clone(&broken),
    };
    let ending = Ending {
        messages: sender,
        broken,
    };
    let packed = Packed {
        path,
        messages,
        packing: None,
        over: false,
        omitted: Omitted::default(),
    };
    (pipe, ending, packed)
}

impl Ending {
    /// From here on nothing that is written arrives: an archive writer that is dropped in the
    /// middle may otherwise close the archive as if it were whole.
    pub(super) fn break_off(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// Nobody may listen any more, which is no matter.
    pub(super) fn end(self, result: Result<Omitted>) {
        let message = match result {
            Ok(omitted) => Message::Done(omitted),
            Err(error) => Message::Failed(error),
        };
        let _ = waiting(|| self.messages.blocking_send(message));
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK_BYTES - self.chunk.len();
        let taken = bytes.len().min(room);
        self.chunk.extend_from_slice(&bytes[..taken]);
        if self.chunk.len() == CHUNK_BYTES {
            self.push()?;
        }
        Ok(taken)
    }

    /// Does nothing: writers flush after each entry, and small chunks cost more than they bring.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Pipe {
    fn push(&mut self) -> io::Result<()> {
        let chunk = self.chunk.split().freeze();
        self.chunk.reserve(CHUNK_BYTES);
        if self.broken.load(Ordering::Relaxed) {
            return Ok(());
        }
        let sent = waiting(|| self.messages.blocking_send(Message::Chunk(chunk)));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Sends what is left.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        self.push()
    }
}

impl Packed {
    /// Fails when the packing gets stuck. One that does keeps its thread, but not its leave.
    pub(super) fn made_by(mut self, packing: Work<()>, permit: OwnedSemaphorePermit) -> Self {
        self.packing = Some((packing, permit));
        self
    }

    fn poll_stuck(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let Some((packing, _)) = &mut self.packing else {
            return Poll::Pending;
        };
        let ended = ready!(Pin::new(packing).poll(cx));
        self.packing = None;
        // One that has ended well has said so in its last message.
        ended.map_or_else(
            |error| Poll::Ready(Error::NoAnswer(error)),
            |()| Poll::Pending,
        )
    }
}

impl Stream for Packed {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let Poll::Ready(message) = self.messages.poll_recv(cx) else {
            let error = ready!(self.poll_stuck(cx));
            self.over = true;
            return Poll::Ready(Some(Err(error)));
        };
        if let Some(Message::Chunk(chunk)) = message {
            return Poll::Ready(Some(Ok(chunk)));
        }
        self.over = true;
        Poll::Ready(match message {
            Some(Message::Done(omitted)) => {
                self.omitted = omitted;
                None
            }
            Some(Message::Failed(error)) => Some(Err(error)),
            // The packing went away without a word.
            _ => Some(Err(Error::Interrupted {
                path: self.path.clone(),
            })),
        })
    }
}
