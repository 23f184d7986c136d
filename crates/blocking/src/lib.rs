//! Threads for what blocks: a bounded pool for each concern, in which no file system can take
//! more than its share, and from which nobody waits for longer than a deadline.
//!
//! A call to a file system whose server is gone (a network or FUSE mount) may never come back,
//! and nothing can take its thread back. So the calls of each file system stand in a queue of
//! their own, and only so many of them run: the other file systems have the other threads. Who
//! waits for a call gives up after a time without progress; the thread counts as stuck until the
//! call does come back. While all calls that a file system may have are stuck, more of them are
//! refused at once.
//!
//! Which file system a path is on, the list of mounts tells without asking the file system. Where
//! a symbolic link leads onto another one, a thread finds out and hands the call on.

mod error;
mod mounts;
mod pool;
mod resolve;
mod work;

use std::time::Duration;

pub use error::Error;
pub use pool::{Counts, Pool};
pub use work::{Work, progress, waiting};

/// How much a pool may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// So many threads; they come when they are needed, and go when they are not.
    pub threads: usize,
    /// So many of them for one file system.
    pub threads_each: usize,
    /// So many calls may wait for the threads of one file system.
    pub queue_each: usize,
    /// So many calls may wait in all.
    pub queue: usize,
    /// Who waits for a call that makes no progress for so long gives up.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            threads: 128,
            threads_each: 32,
            queue_each: 1024,
            queue: 4096,
            deadline: Duration::from_secs(30),
        }
    }
}
