//! What a session's end looks like to the one who ran it.

use crate::Close;

/// Who or what ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// The client sent the first close frame.
    ClientClosed,
    /// The client's connection ended without a close frame, or the client was gone for so long
    /// that its connection was given up.
    ClientGone,
    /// Chromium sent the first close frame.
    UpstreamClosed,
    /// Chromium's connection ended between frames; the client was told this close.
    UpstreamGone(Close),
    /// Chromium's connection ended within a frame, so the client could be told nothing.
    UpstreamCut,
    /// The daemon stops.
    Stopped,
    /// The client sent a header that cannot be followed.
    ClientMalformed,
    /// Chromium sent a header that cannot be followed.
    UpstreamMalformed,
}

impl EndedBy {
    /// The name for logs and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::ClientGone => "client_gone",
            Self::UpstreamClosed => "upstream_closed",
            Self::UpstreamGone(_) => "upstream_gone",
            Self::UpstreamCut => "upstream_cut",
            Self::Stopped => "stopped",
            Self::ClientMalformed => "client_malformed",
            Self::UpstreamMalformed => "upstream_malformed",
        }
    }
}

/// A finished session.
#[derive(Debug)]
pub struct Outcome<C, U> {
    /// Who or what ended it.
    pub ended_by: EndedBy,
    /// The code of the close frame on the client's leg: the one that was sent to the client,
    /// else the client's own. `None` without a close frame, or with one that had no code.
    pub close_code: Option<u16>,
    /// Bytes passed from the client to Chromium.
    pub to_upstream_bytes: u64,
    /// Bytes passed from Chromium to the client, without pings and closes of our own.
    pub to_client_bytes: u64,
    /// Whether the client must see a reset (`SO_LINGER` 0), because what it has is cut short.
    pub abort: bool,
    /// The client's stream. Drop it.
    pub client: C,
    /// Chromium's stream. Drop it.
    pub upstream: U,
}
