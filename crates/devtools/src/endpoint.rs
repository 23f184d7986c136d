//! The address of a browser.

use std::fmt;

/// A host and a port to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Peer {
    host: String,
    port: u16,
}

impl Peer {
    /// `host` is a name or an address; one of IPv6 without brackets.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    /// The name or the address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A browser's DevTools endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub(crate) peer: Peer,
    pub(crate) browser_path: String,
    pub(crate) generation: u64,
    pub(crate) proven: bool,
}

impl Endpoint {
    /// Where it listens.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The path of the browser's own WebSocket, `/devtools/browser/<id>`.
    #[must_use]
    pub fn browser_path(&self) -> &str {
        &self.browser_path
    }

    /// Its number among the browsers of this daemon, from 1.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether `/json/version` vouches for it. If not, it was given in full and may be any
    /// WebSocket server.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.proven
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ws://{}{}", self.peer, self.browser_path)
    }
}
