//! Why a blocking call has no outcome.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Why a blocking call was not done, or is no longer waited for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It made no progress for as long as the pool allows. It may still be done one day.
    #[error("the file system of {} did not answer within {} s", .place.display(), .within.as_secs())]
    NoAnswer {
        /// Where the call was to work.
        place: PathBuf,
        /// The deadline.
        within: Duration,
    },
    /// All calls that its file system may have at once have gone past the deadline.
    #[error("the file system of {} does not answer", .place.display())]
    Stuck {
        /// Where the call was to work.
        place: PathBuf,
    },
    /// As many calls wait already as may.
    #[error("too many calls to the file system of {} wait already", .place.display())]
    Full {
        /// Where the call was to work.
        place: PathBuf,
    },
    /// The system gives no thread.
    #[error("there is no thread to work on {}", .place.display())]
    NoThread {
        /// Where the call was to work.
        place: PathBuf,
    },
}

impl Error {
    /// Where the call was to work.
    #[must_use]
    pub fn place(&self) -> &Path {
        match self {
            Self::NoAnswer { place, .. }
            | Self::Stuck { place }
            | Self::Full { place }
            | Self::NoThread { place } => place,
        }
    }
}
