//! What ends a follower.

use std::io;
use std::path::PathBuf;

/// Why a file cannot be followed any further.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Only without `follow`: with it, the follower waits for the file.
    #[error("open {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Only without `follow`: with it, the failure is a state.
    #[error("read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The kernel's limits for inotify are used up, or there is no inotify.
    #[error("watch {path} for changes")]
    Watch {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: notify::Error,
    },
    /// The file system does not answer, or too much waits for it.
    #[error("read {path}: {source}")]
    NoAnswer {
        /// The file.
        path: PathBuf,
        /// How that showed.
        source: browserd_blocking::Error,
    },
}
