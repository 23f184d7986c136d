//! What can go wrong with an X display.

use std::{io, sync::Arc};

use x11rb::{
    errors::{ConnectError, ConnectionError, ReplyError, ReplyOrIdError},
    protocol::randr::SetConfig,
};

/// Why a display could not be asked or changed.
/// Cheap to clone: one failed attempt may have to be told to several callers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Nothing listens on the display's socket.
    #[error("cannot reach the X server of display :{number}")]
    Unreachable {
        /// The display.
        number: u16,
        /// The cause.
        source: Arc<io::Error>,
    },
    /// The server does not answer in time.
    #[error("the X server of display :{number} does not answer")]
    Silent {
        /// The display.
        number: u16,
    },
    /// The server turned the connection down.
    #[error("the X server of display :{number} refuses the connection")]
    Refused {
        /// The display.
        number: u16,
        /// The cause.
        source: Arc<ConnectError>,
    },
    /// A size that no screen can be given.
    #[error("{what} {value} is not between {least} and {most}")]
    OutOfRange {
        /// What was given.
        what: &'static str,
        /// Its value.
        value: u16,
        /// The least allowed.
        least: u16,
        /// The most allowed.
        most: u16,
    },
    /// The server lacks the RandR extension, version 1.3 or later.
    #[error("the X server cannot resize its screen: it has no RandR 1.3")]
    NoRandr,
    /// The server has no output with a CRTC.
    #[error("the X server has no output to resize")]
    NoOutput,
    /// The server would not take the new mode.
    #[error("the X server did not take the mode {size}: {status:?}")]
    NotTaken {
        /// The wanted size.
        size: crate::Size,
        /// Its answer.
        status: SetConfig,
    },
    /// The connection to the server broke, or the server fell silent on it.
    #[error("lost the X server in the attempt to {what}")]
    Lost {
        /// What was attempted.
        what: &'static str,
        /// The cause.
        source: Arc<io::Error>,
    },
    /// The server failed a request.
    #[error("cannot {what}")]
    Request {
        /// What was attempted.
        what: &'static str,
        /// The cause.
        source: Arc<ReplyOrIdError>,
    },
    /// The runtime stopped before the work was done.
    #[error("the runtime stopped while the X server was asked")]
    Interrupted,
}

/// Names what a failed request was for.
pub(crate) trait Attempt<T> {
    fn attempt(self, what: &'static str) -> Result<T, Error>;
}

impl<T> Attempt<T> for Result<T, ReplyOrIdError> {
    fn attempt(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|source| match source {
            ReplyOrIdError::ConnectionError(ConnectionError::IoError(source)) => Error::Lost {
                what,
                source: Arc::new(source),
            },
            source => Error::Request {
                what,
                source: Arc::new(source),
            },
        })
    }
}

impl<T> Attempt<T> for Result<T, ReplyError> {
    fn attempt(self, what: &'static str) -> Result<T, Error> {
        self.map_err(ReplyOrIdError::from).attempt(what)
    }
}

impl<T> Attempt<T> for Result<T, ConnectionError> {
    fn attempt(self, what: &'static str) -> Result<T, Error> {
        self.map_err(ReplyOrIdError::from).attempt(what)
    }
}
