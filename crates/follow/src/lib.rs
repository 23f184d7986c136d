//! Following a growing file through rotation, truncation and absence.
//!
//! A [`Follower`] is one reader of one path. It yields whole lines with the place behind each
//! (inode, time of birth and offset), so that a reader can go on later from there. It wakes on inotify events
//! of the file and of its directory; it never polls.
//!
//! What a rotation means here: the bytes written to a path are one stream. A line whose first
//! half ends one file and whose second half starts the next is one line. (supervisord cuts its
//! logs by size, in the middle of a line if need be.)
//!
//! - Rename: the old file is read to its end, then the new one from 0. The old one counts as
//!   finished once the new one has content, so a writer that keeps its descriptor for a while
//!   loses nothing. Files that came and went between two wake-ups are found beside the path
//!   (`name.1`, `name-20260101`, …).
//! - Copy and truncate: the file is read again from 0 when it is shorter than what was read, or
//!   when the last bytes read are no longer where they were.

mod error;
mod follower;
mod lines;
mod tail;
mod watch;

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use browserd_blocking::{Limits, Pool};
use bytes::Bytes;

pub use error::Error;
pub use follower::Follower;

/// A line longer than this is split, unless [`Config::max_line_bytes`] says otherwise.
pub const MAX_LINE_BYTES: usize = 1024 * 1024;

/// What to follow, and how.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file. It need not exist, nor its directory, when `follow` is set.
    pub path: PathBuf,
    /// Where to begin.
    pub start: Start,
    /// Wait for more at the end, instead of ending with what is there.
    pub follow: bool,
    /// The longest line yielded in one piece, in bytes; at least 1.
    pub max_line_bytes: usize,
    /// The threads that read the file. By default a pool of this follower's own.
    pub pool: Pool,
}

impl Config {
    /// Follow `path` from its first byte.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            start: Start::Beginning,
            follow: true,
            max_line_bytes: MAX_LINE_BYTES,
            pool: Pool::new("follow", Limits::default()),
        }
    }

    /// Begin at `start`.
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Read on these threads.
    #[must_use]
    pub fn pool(mut self, pool: &Pool) -> Self {
        self.pool = pool.clone();
        self
    }

    /// Read what is there and end.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.follow = false;
        self
    }
}

/// Where a [`Follower`] begins. A file that appears later is read from its first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// The first byte of the file.
    Beginning,
    /// Behind the last complete line; a line of which only a part is written comes whole.
    End,
    /// The last so many lines of the file; a part of a line at its end counts as one.
    LastLines(u64),
    /// The last line that contains these bytes, be it in the file or in one that was rotated
    /// away from it; [`Start::End`] if there is none.
    LastMatch(Vec<u8>),
    /// Right behind a line that was yielded earlier, see [`Line::behind`]. A [`Event::Gap`] comes
    /// first if that file, or that place in it, is no more.
    Resume {
        /// [`Line::inode`].
        inode: u64,
        /// [`Line::born_ns`]. Without it, another file that was given the number of a deleted one
        /// is taken for that.
        born_ns: Option<u64>,
        /// [`Line::offset`].
        offset: u64,
    },
}

impl Start {
    /// Behind all that a file holds, given what the system says of it.
    #[must_use]
    pub fn behind(metadata: &Metadata) -> Self {
        Self::Resume {
            inode: metadata.ino(),
            born_ns: born_ns(metadata),
            offset: metadata.len(),
        }
    }
}

/// When a file was made, in nanoseconds since 1970, where its file system keeps that (`statx`,
/// `stx_btime`).
fn born_ns(metadata: &Metadata) -> Option<u64> {
    let since = metadata.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

/// What a [`Follower`] yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A line, or a piece of a long one.
    Line(Line),
    /// Bytes were lost between the line before and the line behind.
    Gap {
        /// At least so many; `None` if unknown.
        lost_bytes: Option<u64>,
    },
    /// What became of the file. Sent when it changes.
    State(State),
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line without its newline.
    pub bytes: Bytes,
    /// The inode of the file that the line ends in.
    pub inode: u64,
    /// When that file was made, in nanoseconds since 1970, where its file system keeps that:
    /// numbers of inodes are used again.
    pub born_ns: Option<u64>,
    /// The offset in that file right behind the line and its newline.
    pub offset: u64,
    /// The line goes on in the next one: it is longer than [`Config::max_line_bytes`].
    pub continued: bool,
}

impl Line {
    /// Where to begin to go on right behind this line.
    #[must_use]
    pub fn behind(&self) -> Start {
        Start::Resume {
            inode: self.inode,
            born_ns: self.born_ns,
            offset: self.offset,
        }
    }
}

/// Whether the file can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The path is open.
    Reading,
    /// There is no such file. One held open from before is still read.
    Missing,
    /// The path is there, but it cannot be read; the reason in words.
    Unreadable(String),
}
