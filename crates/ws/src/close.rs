//! Why a DevTools session ends, as the client is told in its close frame.

/// A WebSocket close code with its reason (RFC 6455, section 7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close {
    /// The status code.
    pub code: u16,
    /// The reason, in UTF-8, at most 123 bytes.
    pub reason: &'static str,
}

impl Close {
    /// The target was closed; the browser lives on.
    pub const TARGET_CLOSED: Self = Self {
        code: 1000,
        reason: "target closed",
    };
    /// The daemon stops.
    pub const GOING_AWAY: Self = Self {
        code: 1001,
        reason: "browserd is shutting down",
    };
    /// The client sent what cannot be a WebSocket frame.
    pub const PROTOCOL_ERROR: Self = Self {
        code: 1002,
        reason: "malformed frame",
    };
    /// Chromium ended the connection without a reason that can be told.
    pub const UPSTREAM_LOST: Self = Self {
        code: 1011,
        reason: "upstream closed the connection",
    };
    /// The browser is gone; a new connection waits for the next one.
    pub const BROWSER_RESTARTED: Self = Self {
        code: 1012,
        reason: "browser restarted",
    };
}
