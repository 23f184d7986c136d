//! What makes the first process give up.

use std::io;

/// Why the machine cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot work as it is run.
    #[error("{0}")]
    Unfit(String),
    /// The runtime of the first process cannot be made.
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    /// A signal cannot be caught.
    #[error("cannot catch {name}")]
    Signal {
        /// The signal.
        name: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The thread that writes the log cannot be started.
    #[error("cannot start the thread that writes the log")]
    Writer(#[source] io::Error),
}
