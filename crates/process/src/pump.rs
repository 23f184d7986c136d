//! From a process' pipes or terminal to where its output is kept.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use browserd_budget::Share;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::capture::{Capture, Captured};
use crate::output::{BLOCK_BYTES, Stream, Writer};
use crate::sys::{self, SharedFd};

/// Where output goes.
#[derive(Debug)]
pub(crate) enum Sink {
    /// To readers, now and later.
    Output(Writer),
    /// To the answer: stdout and stderr. `None` once it was taken.
    Capture(Mutex<Option<[Capture; 2]>>),
}

impl Sink {
    fn append(&self, stream: Stream, bytes: &[u8]) {
        match self {
            Self::Output(writer) => writer.append(stream, bytes),
            Self::Capture(captures) => {
                let mut captures = captures.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some([stdout, stderr]) = captures.as_mut() {
                    match stream {
                        Stream::Stdout => stdout.append(bytes),
                        Stream::Stderr => stderr.append(bytes),
                    }
                }
            }
        }
    }

    /// To be called between two reads.
    pub(crate) async fn settle(&self) {
        if let Self::Output(writer) = self {
            writer.settle().await;
        }
    }

    /// Ends it: what comes later is dropped. Returns what was captured.
    pub(crate) fn end(&self) -> Option<[(Captured, Share); 2]> {
        match self {
            Self::Output(writer) => {
                writer.end();
                None
            }
            Self::Capture(captures) => {
                let mut captures = captures.lock().unwrap_or_else(PoisonError::into_inner);
                let both = captures.take();
                drop(captures);
                both.map(|both| both.map(Capture::finish))
            }
        }
    }
}

/// One stream of a process.
#[derive(Debug)]
pub(crate) struct Source {
    stream: Stream,
    end: AsyncFd<SharedFd>,
    /// Bytes read so far.
    taken: AtomicU64,
    ended: AtomicBool,
}

impl Source {
    /// Must be called within a runtime. `end` does not block.
    pub(crate) fn new(stream: Stream, end: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            stream,
            end: sys::watch(end.into(), Interest::READABLE)?,
            taken: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        })
    }

    /// The count of bytes up to what has been written to it by now.
    pub(crate) fn written(&self) -> u64 {
        let unread = rustix::io::ioctl_fionread(self.end.get_ref()).unwrap_or(0);
        self.taken.load(Ordering::Acquire) + unread
    }

    pub(crate) fn has_taken(&self, count: u64) -> bool {
        self.has_ended() || self.taken.load(Ordering::Acquire) >= count
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Waits until there is something, and passes it on.
    ///
    /// # Cancel safety
    ///
    /// Safe: what is read is passed on in the same poll.
    async fn pass_on(&self, sink: &Sink) {
        loop {
            let Ok(mut ready) = self.end.readable().await else {
                return self.ended.store(true, Ordering::Release);
            };
            match ready.try_io(|end| self.read(end.get_ref(), sink)) {
                Ok(Ok(count)) if count > 0 => return,
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                // A terminal that no program has open any more fails with EIO.
                Ok(_) => return self.ended.store(true, Ordering::Release),
                Err(_would_block) => {}
            }
        }
    }

    fn read(&self, end: &SharedFd, sink: &Sink) -> io::Result<usize> {
        thread_local! {
            static BUFFER: RefCell<Box<[u8]>> =
                RefCell::new(vec![0; BLOCK_BYTES].into_boxed_slice());
        }
        BUFFER.with_borrow_mut(|buffer| {
            let count = rustix::io::read(end, &mut **buffer)?;
            sink.append(self.stream, &buffer[..count]);
            self.taken.fetch_add(count as u64, Ordering::AcqRel);
            Ok(count)
        })
    }
}

/// Passes everything on until all streams have ended.
pub(crate) async fn pump(sources: Arc<[Source]>, sink: Arc<Sink>) {
    let [first, others @ ..] = &*sources else {
        return;
    };
    // There are two at most.
    let second = others.first().unwrap_or(first);
    loop {
        let alone = std::ptr::eq(first, second) || second.has_ended();
        if first.has_ended() && alone {
            return;
        }
        tokio::select! {
            () = first.pass_on(&sink), if !first.has_ended() => {}
            () = second.pass_on(&sink), if !alone => {}
        }
        sink.settle().await;
    }
}
