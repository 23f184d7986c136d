//! The kernel's own interface. What is watched is an inode, whatever its name is by now: so one
//! that is renamed goes on being watched, and is not taken for what stood at its new name before.

use std::{
    ffi::{OsStr, OsString},
    io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch},
    io::{Errno, ioctl_fionread, read, write},
};

/// So much is read at once.
const BUFFER_BYTES: usize = 64 * 1024;
/// An event with a short name takes as much in the kernel's queue.
const EVENT_BYTES: u64 = 32;

/// What the kernel calls a watched directory.
pub(super) type Wd = i32;

/// An event, of an entry of a watched directory or of the directory itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) wd: Wd,
    pub(super) what: ReadFlags,
    /// What pairs the two halves of a rename.
    pub(super) cookie: u32,
    /// Nothing where the directory itself is meant.
    pub(super) name: Option<OsString>,
}

/// The kernel's events for one watch.
#[derive(Debug)]
pub(super) struct Inotify {
    fd: OwnedFd,
    waker: Waker,
    buffer: Box<[MaybeUninit<u8>]>,
}

/// Wakes the thread that waits for events.
#[derive(Debug, Clone)]
pub(crate) struct Waker(Arc<OwnedFd>);

impl Waker {
    pub(super) fn wake(&self) {
        // It fails where the thread has been woken so often that it is awake.
        let _ = write(&self.0, &1u64.to_ne_bytes());
    }
}

impl Inotify {
    pub(super) fn open() -> rustix::io::Result<Self> {
        let waker = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            fd: init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            waker: Waker(Arc::new(waker)),
            buffer: vec![MaybeUninit::uninit(); BUFFER_BYTES].into_boxed_slice(),
        })
    }

    pub(super) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Watches a directory; one that is watched already keeps what it is called.
    pub(super) fn watch(&self, dir: &Path) -> rustix::io::Result<Wd> {
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MODIFY
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW
            | WatchFlags::EXCL_UNLINK;
        add_watch(&self.fd, dir, flags)
    }

    /// Watches it no longer.
    pub(super) fn unwatch(&self, wd: Wd) {
        // It has gone already where its directory has.
        let _ = remove_watch(&self.fd, wd);
    }

    /// Waits until there is something to read, somebody wakes, or the time is over.
    pub(super) fn wait(&self, patience: Duration) -> io::Result<()> {
        let mut fds = [
            PollFd::new(&self.fd, PollFlags::IN),
            PollFd::new(&*self.waker.0, PollFlags::IN),
        ];
        let patience = Timespec::try_from(patience).unwrap_or(Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        });
        match poll(&mut fds, Some(&patience)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut woken = [0; 8];
        let _ = read(&self.waker.0, &mut woken);
        Ok(())
    }

    /// Reads what is there, about `limit` events at most.
    pub(super) fn read(&mut self, limit: usize, events: &mut Vec<Raw>) -> io::Result<()> {
        let mut reader = Reader::new(&self.fd, &mut self.buffer);
        while events.len() < limit || !reader.is_buffer_empty() {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::WOULDBLOCK) => break,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            let name = event.file_name();
            let event = Raw {
                wd: event.wd(),
                what: event.events(),
                cookie: event.cookie(),
                name: name.map(|name| OsStr::from_bytes(name.to_bytes()).to_owned()),
            };
            // Many writes to one file are one change.
            if events.last() != Some(&event) {
                events.push(event);
            }
        }
        Ok(())
    }

    /// Whether more events wait than may.
    pub(super) fn is_behind(&self, limit: usize) -> bool {
        ioctl_fionread(&self.fd).is_ok_and(|bytes| bytes / EVENT_BYTES > limit as u64)
    }
}
