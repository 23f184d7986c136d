//! What is written to a process: one writer at a time, no longer than the process reads.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::pty;
use crate::sys::{self, SharedFd};

/// Writers that wait for one process; each holds what it wants to write.
pub(crate) const MAX_WAITING: usize = 16;

/// The writing end of a process' stdin.
#[derive(Debug)]
pub(crate) struct Stdin {
    /// `None` once it is closed.
    end: Arc<Mutex<Option<AsyncFd<SharedFd>>>>,
    waiting: Semaphore,
    is_terminal: bool,
    wait: Duration,
}

/// Why nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Closed,
    Busy,
}

impl Stdin {
    /// Must be called within a runtime. `end` does not block.
    pub(crate) fn new(end: OwnedFd, is_terminal: bool, wait: Duration) -> io::Result<Self> {
        Ok(Self {
            end: Arc::new(Mutex::new(Some(watch(end)?))),
            waiting: Semaphore::new(MAX_WAITING),
            is_terminal,
            wait,
        })
    }

    /// Writes what a process is started with, before anything else and however long it takes.
    /// The place is taken by the call already, not by the future.
    pub(crate) fn write_first(&self, bytes: Bytes) -> impl Future<Output = ()> + Send + use<> {
        let end = Arc::clone(&self.end).try_lock_owned();
        async move {
            if let Ok(Some(end)) = end.as_deref() {
                // A process need not read what it is given.
                let _ = write_all(end, &bytes, &mut 0).await;
            }
        }
    }

    /// Writes as much as the process takes within the wait, and closes afterwards if told to.
    /// Returns the number of bytes written.
    ///
    /// A terminal cannot be closed from here without hanging up; "closed" is its character for
    /// the end of file.
    ///
    /// # Cancel safety
    ///
    /// What was written stays written; the rest is not.
    pub(crate) async fn write(&self, bytes: &[u8], close: bool) -> Result<usize, Refused> {
        let deadline = Instant::now() + self.wait;
        let _place = self.waiting.try_acquire().map_err(|_| Refused::Busy)?;
        let Ok(mut end) = timeout_at(deadline, self.end.lock()).await else {
            return Ok(0);
        };
        let open = end.as_ref().ok_or(Refused::Closed)?;
        let (written, result) = write_until(open, bytes, deadline).await;
        if result.is_err() {
            // The process has closed its end. What it took before, it took.
            *end = None;
            return if written == 0 {
                Err(Refused::Closed)
            } else {
                Ok(written)
            };
        }
        if close && written == bytes.len() {
            if self.is_terminal {
                // A terminal without settings has hung up.
                if let Ok(end_of_file) = pty::end_of_file(open.get_ref()) {
                    let _ = write_until(open, &[end_of_file], deadline).await;
                }
            } else {
                *end = None;
            }
        }
        Ok(written)
    }

    /// Writes everything, however long the process takes to read it.
    ///
    /// # Cancel safety
    ///
    /// What was written stays written; the rest is not.
    pub(crate) async fn write_all(&self, bytes: &[u8]) -> Result<(), Refused> {
        let mut end = self.end.lock().await;
        let open = end.as_ref().ok_or(Refused::Closed)?;
        if write_all(open, bytes, &mut 0).await.is_err() {
            *end = None;
            return Err(Refused::Closed);
        }
        Ok(())
    }

    /// Closes it for good. Waits for a write that is under way.
    pub(crate) async fn close(&self) {
        *self.end.lock().await = None;
    }
}

/// Writes everything to a pipe and closes it. Ends early when the other side is closed.
pub(crate) async fn feed(end: OwnedFd, bytes: &[u8]) {
    let Ok(end) = watch(end) else { return };
    // A command need not read what it is given.
    let _ = write_all(&end, bytes, &mut 0).await;
}

fn watch(end: OwnedFd) -> io::Result<AsyncFd<SharedFd>> {
    sys::watch(end.into(), Interest::WRITABLE)
}

async fn write_until(
    end: &AsyncFd<SharedFd>,
    bytes: &[u8],
    deadline: Instant,
) -> (usize, io::Result<()>) {
    let mut written = 0;
    let result = timeout_at(deadline, write_all(end, bytes, &mut written)).await;
    (written, result.unwrap_or(Ok(())))
}

async fn write_all(end: &AsyncFd<SharedFd>, bytes: &[u8], written: &mut usize) -> io::Result<()> {
    while *written < bytes.len() {
        let mut ready = end.writable().await?;
        let rest = &bytes[*written..];
        match ready.try_io(|end| Ok(rustix::io::write(end.get_ref(), rest)?)) {
            Ok(Ok(count)) => *written += count,
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(Err(error)) => return Err(error),
            Err(_would_block) => {}
        }
    }
    Ok(())
}
