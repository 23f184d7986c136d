//! The proof: what a port says about the browser behind it.

use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Fixed;
use crate::Peer;
use crate::client::{self, connect, fetch_within};

/// How long one attempt may take. A stopped browser takes connections and does not answer; one
/// that starts on a busy machine needs a while.
pub(super) const ATTEMPT: Duration = Duration::from_secs(3);

/// A proven browser.
#[derive(Debug)]
pub(super) struct Proof {
    pub(super) peer: Peer,
    /// `/devtools/browser/<id>`.
    pub(super) browser_path: String,
    /// A connection from before the proof, so that its end is the end of what was proven.
    pub(super) canary: Option<TcpStream>,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error("{0} does not answer as DevTools")]
    NotDevTools(Peer),
}

/// What can be proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Claim {
    /// A browser listens there.
    Browser(Peer),
    /// Something takes connections there, and gets all sessions at this path.
    Given { peer: Peer, path: String },
}

impl Claim {
    pub(super) fn peer(&self) -> &Peer {
        match self {
            Self::Browser(peer) | Self::Given { peer, .. } => peer,
        }
    }

    /// Whether it holds now.
    pub(super) async fn prove(&self, limit: Duration) -> Result<Proof, Failure> {
        let peer = self.peer().clone();
        let connected = timeout(limit, connect(&peer)).await;
        let canary = connected
            .map_err(|_| client::Error::Timeout {
                peer: peer.clone(),
                limit,
            })
            .and_then(|connected| connected)?;
        match self {
            Self::Browser(_) => {
                let browser_path = browser_path(&peer, limit).await?;
                Ok(Proof {
                    peer,
                    browser_path,
                    canary: Some(canary),
                })
            }
            // A simple server may serve one connection at a time: none is kept.
            Self::Given { path, .. } => Ok(Proof {
                peer,
                browser_path: path.clone(),
                canary: None,
            }),
        }
    }
}

impl From<Fixed> for Claim {
    fn from(fixed: Fixed) -> Self {
        match fixed {
            Fixed::Given { peer, path } => Self::Given { peer, path },
            Fixed::Proven(peer) => Self::Browser(peer),
        }
    }
}

/// The part of `/json/version` that matters.
#[derive(Deserialize)]
struct Version {
    #[serde(rename = "webSocketDebuggerUrl")]
    websocket_debugger_url: String,
}

/// The path that the browser at `peer` names as its own.
pub(super) async fn browser_path(peer: &Peer, limit: Duration) -> Result<String, Failure> {
    let reply = fetch_within(peer, Method::GET, "/json/version", limit).await?;
    let not_devtools = || Failure::NotDevTools(peer.clone());
    if reply.status != StatusCode::OK {
        return Err(not_devtools());
    }
    let version: Version = serde_json::from_slice(&reply.body).map_err(|_| not_devtools())?;
    let url = version.websocket_debugger_url;
    let path = url
        .strip_prefix("ws://")
        .and_then(|url| url.find('/').map(|at| &url[at..]));
    let id = path.and_then(|path| path.strip_prefix("/devtools/browser/"));
    let is_id = |id: &str| {
        !id.is_empty()
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    match (path, id) {
        (Some(path), Some(id)) if is_id(id) => Ok(path.to_owned()),
        _ => Err(not_devtools()),
    }
}
