//! What can go wrong between the daemon and Chromium.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use super::Reply;
use crate::Peer;

/// Why a request to Chromium got no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection: mostly refused, because the browser is gone or not there yet.
    #[error("connect to {peer}")]
    Connect {
        /// Where to.
        peer: Peer,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The connection broke, or what came was no HTTP.
    #[error("exchange with {peer}")]
    Exchange {
        /// With whom.
        peer: Peer,
        /// What went wrong.
        #[source]
        source: hyper::Error,
    },
    /// The body did not come whole.
    #[error("read the answer of {peer}")]
    Body {
        /// Whose.
        peer: Peer,
        /// What went wrong.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A stopped or overloaded browser: it takes the connection and does not answer.
    #[error("{peer} did not answer within {limit:?}")]
    Timeout {
        /// Who.
        peer: Peer,
        /// How long was waited.
        limit: Duration,
    },
    /// The body is too large.
    #[error("the answer of {peer} has more than {limit_bytes} bytes")]
    TooLarge {
        /// Whose.
        peer: Peer,
        /// The most that is taken.
        limit_bytes: usize,
    },
    /// A 101 that does not answer the key.
    #[error("{peer} switched protocols, but not to a websocket")]
    Handshake {
        /// Who.
        peer: Peer,
    },
    /// The path cannot stand in a request.
    #[error("request {path}")]
    Path {
        /// The path with its query.
        path: String,
        /// What is wrong with it.
        #[source]
        source: http::uri::InvalidUri,
    },
    /// The key cannot stand in a header.
    #[error("the websocket key is not a header value")]
    Key,
}

impl Error {
    /// Whether the browser took no connection, or broke it: it is gone, or about to be.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Exchange { .. })
    }
}

/// Why a WebSocket was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Chromium answered with something else than 101.
    #[error("chromium answered the upgrade with {}", .0.status)]
    Rejected(Reply),
    /// There was no answer.
    #[error(transparent)]
    Failed(#[from] Error),
}
