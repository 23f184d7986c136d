//! What can go wrong when supervisord is asked.

use std::{io, path::PathBuf, time::Duration};

/// Why a call to supervisord failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing listens on the socket.
    #[error("cannot reach supervisord at {socket}")]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The connection broke, or did not carry HTTP.
    #[error("the connection to supervisord broke")]
    Broken(#[source] hyper::Error),
    /// No answer in time.
    #[error("supervisord does not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// The reply is larger than any that is expected.
    #[error("the reply of supervisord is larger than {0} bytes")]
    TooLarge(usize),
    /// An HTTP status other than 200.
    #[error("supervisord answers with HTTP status {0}")]
    Status(u16),
    /// The reply cannot be understood.
    #[error("cannot understand the reply of supervisord: {0}")]
    Malformed(String),
    /// A name with a character that XML does not carry; nothing was asked.
    #[error("{0:?} has a character that cannot be sent to supervisord")]
    Unsendable(String),
    /// There is no such program.
    #[error("supervisord has no program {0:?}")]
    NotFound(String),
    /// The program runs already.
    #[error("the program {0:?} runs already")]
    AlreadyStarted(String),
    /// The program does not run.
    #[error("the program {0:?} does not run")]
    NotRunning(String),
    /// The program ended too early, or could not be executed; the text is supervisord's.
    #[error("the program {name:?} does not start: {text}")]
    NotStarted {
        /// The program.
        name: String,
        /// What supervisord says.
        text: String,
    },
    /// supervisord itself is being shut down or restarted.
    #[error("supervisord is shutting down")]
    ShuttingDown,
    /// Any other fault, in supervisord's own words.
    #[error("supervisord refuses the call: {text} (fault {code})")]
    Fault {
        /// Its number (`supervisor/xmlrpc.py`, `Faults`).
        code: i64,
        /// Its text.
        text: String,
    },
}

impl Error {
    pub(crate) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed(what.into())
    }

    /// Says what a fault means for the program that the call was about.
    pub(crate) fn about(self, name: &str) -> Self {
        let Self::Fault { code, text } = self else {
            return self;
        };
        let name = name.to_owned();
        match code {
            6 => Self::ShuttingDown,
            10 => Self::NotFound(name),
            20 | 21 | 40 | 50 => Self::NotStarted { name, text },
            60 => Self::AlreadyStarted(name),
            70 => Self::NotRunning(name),
            code => Self::Fault { code, text },
        }
    }
}
