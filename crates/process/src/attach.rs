//! The one seat at a process' terminal.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::{Error, Process, Reader};

/// Output that is shown again to whoever attaches, in bytes.
pub(crate) const REPLAY_BYTES: u64 = 64 * 1024;

/// Who is attached: a token that tells them to go.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    taken: Mutex<Option<CancellationToken>>,
}

impl Seat {
    fn taken(&self) -> MutexGuard<'_, Option<CancellationToken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A seat at a terminal, left when dropped.
#[derive(Debug)]
pub struct Attachment {
    process: Process,
    reader: Reader,
    told: CancellationToken,
}

impl Attachment {
    pub(crate) fn new(process: Process, reader: Reader, takeover: bool) -> Result<Self, Error> {
        let told = CancellationToken::new();
        let mut taken = process.seat().taken();
        if let Some(other) = taken.as_ref() {
            if !takeover {
                return Err(Error::Attached { id: process.id() });
            }
            other.cancel();
        }
        *taken = Some(told.clone());
        drop(taken);
        Ok(Self {
            process,
            reader,
            told,
        })
    }

    /// The process.
    #[must_use]
    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// What the terminal shows.
    pub const fn reader(&mut self) -> &mut Reader {
        &mut self.reader
    }

    /// Cancelled when somebody else has taken the seat over.
    #[must_use]
    pub const fn taken_over(&self) -> &CancellationToken {
        &self.told
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let mut taken = self.process.seat().taken();
        if !self.told.is_cancelled() {
            *taken = None;
        }
    }
}
