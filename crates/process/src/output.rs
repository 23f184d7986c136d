//! The output of a process: kept in bounds, read from any offset by any number of readers.
//!
//! Output is a log of frames in the order in which it was read from the process, cut into
//! blocks. The first blocks (the head) and the last (the tail) are kept; between them blocks are
//! dropped once the bound is reached. Blocks are in memory until there is more than a little of
//! them, then the older ones move to an unlinked file.
//!
//! ```text
//! head ─ block 0 ─ block 1 ┄┄┄ gap ┄┄┄ block 97 ─ block 98 ─ live block ─ end
//!        └── file ────────┘            └── file ┘ └──── memory ───────┘
//! ```
//!
//! A place in the output is a byte offset per stream. A reader gets each byte behind its place
//! once and in order, or is told how many bytes are gone ([`Event::Gap`]).
//!
//! The writer never waits for a reader that does not read. It gives way to those that do, but
//! never so long that it would take less than [`FLOOR_BYTES_PER_SEC`]: a reader faster than that
//! loses nothing, whatever the process writes.

mod block;
mod log;
mod pace;
mod reader;
mod spill;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use browserd_budget::Budget;
use tokio::sync::{Mutex as Turn, watch};

use log::Log;
pub use pace::FLOOR_BYTES_PER_SEC;
use pace::Pace;
pub use reader::{Event, Reader};

/// One of the two streams of a process. A terminal's output is all [`Stream::Stdout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

/// A place in the output: how many bytes of each stream are before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Offsets {
    /// Bytes of stdout.
    pub stdout: u64,
    /// Bytes of stderr.
    pub stderr: u64,
}

impl Offsets {
    /// The offset in one stream.
    #[must_use]
    pub const fn of(self, stream: Stream) -> u64 {
        match stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        }
    }

    const fn of_mut(&mut self, stream: Stream) -> &mut u64 {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    const fn sum(self) -> u64 {
        self.stdout + self.stderr
    }

    /// Whether anything before `end`, in either stream, is still to come for a reader here.
    const fn is_before(self, end: Self) -> bool {
        self.stdout < end.stdout || self.stderr < end.stderr
    }
}

impl fmt::Display for Offsets {
    /// Writes `<stdout>.<stderr>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.stdout, self.stderr)
    }
}

/// A text is not of the form `<stdout>.<stderr>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an offset is two numbers with a dot between them: <stdout>.<stderr>")]
pub struct ParseOffsetsError;

impl FromStr for Offsets {
    type Err = ParseOffsetsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |digits: &str| {
            let digits = Some(digits).filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
            digits
                .and_then(|digits| digits.parse().ok())
                .ok_or(ParseOffsetsError)
        };
        let (stdout, stderr) = text.split_once('.').ok_or(ParseOffsetsError)?;
        Ok(Self {
            stdout: number(stdout)?,
            stderr: number(stderr)?,
        })
    }
}

/// The bounds of one process' output, in bytes.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// What is kept at most, half of it as head and half as tail.
    pub(crate) capacity: usize,
    /// What is kept in memory at most, plus one block.
    pub(crate) memory: usize,
    /// The size of a block at most.
    pub(crate) block: usize,
    /// Where the file is made.
    pub(crate) directory: PathBuf,
    /// What the files of all outputs take together at most.
    pub(crate) disk: Budget,
    /// Readers at once.
    pub(crate) readers: usize,
}

/// The size of a block, unless the bounds are smaller.
pub(crate) const BLOCK_BYTES: usize = 64 * 1024;

/// What the writer and the readers share.
#[derive(Debug)]
struct Shared {
    log: Mutex<Log>,
    /// Marked as changed after each change of the log.
    changed: watch::Sender<()>,
    pace: Pace,
    /// Held by whoever moves blocks to the file: what is on its way is not taken twice.
    moving: Turn<()>,
    readers: AtomicUsize,
    max_readers: usize,
}

impl Shared {
    /// Held for copying a block at most, and never while waiting.
    fn log(&self) -> MutexGuard<'_, Log> {
        // The log is consistent between any two of its own steps that can panic.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As many readers as may read at once do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TooManyReaders;

/// The output of one process, for those who read it.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    shared: Arc<Shared>,
}

/// The one writer of an output.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
}

/// Makes an empty output.
pub(crate) fn output(limits: Limits) -> (Writer, Output) {
    let max_readers = limits.readers;
    let shared = Arc::new(Shared {
        log: Mutex::new(Log::new(limits)),
        changed: watch::Sender::new(()),
        pace: Pace::default(),
        moving: Turn::default(),
        readers: AtomicUsize::new(0),
        max_readers,
    });
    (
        Writer {
            shared: Arc::clone(&shared),
        },
        Output { shared },
    )
}

impl Writer {
    /// Adds what the process wrote. Never waits.
    pub(crate) fn append(&self, stream: Stream, bytes: &[u8]) {
        self.shared.log().append(stream, bytes);
        self.shared.pace.wrote(bytes.len() as u64);
        self.shared.changed.send_replace(());
    }

    /// Moves blocks out of memory and gives way to readers, where that is due. To be called
    /// between appends. Several may call it at once: when an output has ended, and others still
    /// write to its pipes.
    ///
    /// # Cancel safety
    ///
    /// Blocks that were on their way stay in memory, and their places in the file unused.
    pub(crate) async fn settle(&self) {
        let moving = self.shared.moving.lock().await;
        loop {
            let batch = self.shared.log().take_batch();
            let Some(batch) = batch else { break };
            let written = batch.write().await;
            self.shared.log().landed(written);
        }
        drop(moving);
        pace::give_way(&self.shared).await;
    }

    /// Ends the output: what is appended later is dropped.
    pub(crate) fn end(&self) {
        self.shared.log().end();
        self.shared.changed.send_replace(());
    }
}

impl Output {
    /// Where the output ends by now.
    pub(crate) fn written(&self) -> Offsets {
        self.shared.log().written()
    }

    /// A reader of what is behind `from`, which must not be behind [`Output::written`].
    pub(crate) fn reader(&self, from: Offsets) -> Result<Reader, TooManyReaders> {
        let max = self.shared.max_readers;
        let more = |readers| (readers < max).then_some(readers + 1);
        self.shared
            .readers
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .map_err(|_| TooManyReaders)?;
        Ok(Reader::new(Arc::clone(&self.shared), from))
    }
}
