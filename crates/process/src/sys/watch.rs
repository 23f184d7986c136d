//! Descriptors that the runtime watches.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// An open descriptor that several owners share. It is never exchanged for another.
#[derive(Debug, Clone)]
pub(crate) struct SharedFd(Arc<OwnedFd>);

impl From<OwnedFd> for SharedFd {
    fn from(fd: OwnedFd) -> Self {
        Self(Arc::new(fd))
    }
}

impl AsRawFd for SharedFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for SharedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Has the runtime watch a descriptor. Must be called within a runtime.
pub(crate) fn watch(fd: SharedFd, interest: Interest) -> io::Result<AsyncFd<SharedFd>> {
    // SAFETY: the `SharedFd` in the `AsyncFd` owns its descriptor, so it stays open and the same
    // as long as that lives.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}
