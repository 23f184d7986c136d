//! Where Chromium's DevTools endpoint is now.
//!
//! ```text
//!            line in the log            /json/version answers
//!   waiting ────────────────► proving ────────────────────────► up
//!                              ▲   ▲    a newer line, the canary's end,   │
//!                              │   └───  or a failed dial (suspect) ──────┘
//!                              └ retry until it answers or a newer line comes
//! ```
//!
//! The log line `DevTools listening on ws://…` is only the trigger. Published is what
//! `/json/version` on that port says, so a stale line whose port belongs to a newer browser leads
//! to the newer one.
//!
//! A browser that dies is noticed by the *canary*: one idle connection to the proven port, whose
//! end tells. Chromium keeps an idle connection open, both a fresh one and one that has carried
//! a request (watched for 180 s with Chromium 156); its HTTP server has no idle timeout.

mod log;
mod prove;
mod quit;
mod source;
mod state;
mod verdict;
mod watcher;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use self::quit::{QuitError, quit};
pub use self::source::{Fixed, ParseFixedError, Source};
use self::state::{Shared, View};
use self::watcher::Watcher;
use crate::Endpoint;
use browserd_ws::Close;

/// The browser's address, as it changes. Clones are cheap and share the state.
#[derive(Debug, Clone)]
pub struct Upstream {
    shared: Arc<Shared>,
}

/// Whether there is a browser, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// An endpoint is published.
    pub up: bool,
    /// Which one, or what is waited for.
    pub detail: String,
}

/// No browser in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no browser: {waiting_for}")]
pub struct Unavailable {
    /// What is being waited for.
    pub waiting_for: String,
}

/// Start to look for the browser. The future does the work, until `token` is cancelled.
pub fn spawn(
    source: Source,
    token: CancellationToken,
) -> (Upstream, impl Future<Output = ()> + Send) {
    let shared = Arc::new(Shared::new(&source));
    let upstream = Upstream {
        shared: Arc::clone(&shared),
    };
    (upstream, Watcher::new(source, shared).run(token))
}

impl Upstream {
    /// The endpoint that is published now.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Endpoint>> {
        self.shared.current()
    }

    /// The endpoint, once there is one.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] after `limit`, or as soon as the daemon stops.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens when the future is dropped.
    pub async fn wait(&self, limit: Duration) -> Result<Arc<Endpoint>, Unavailable> {
        self.wait_until(limit, |_| true).await
    }

    /// Waits for a browser that was found after those counted so far: see [`Self::generation`].
    ///
    /// # Errors
    ///
    /// As [`Self::wait`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::wait`].
    pub async fn wait_past(&self, generation: u64, limit: Duration) -> Result<(), Unavailable> {
        let newer = self.wait_until(limit, |endpoint| endpoint.generation() > generation);
        newer.await.map(|_| ())
    }

    /// As [`Self::wait`], for an endpoint that is right.
    async fn wait_until(
        &self,
        limit: Duration,
        is_right: impl Fn(&Endpoint) -> bool,
    ) -> Result<Arc<Endpoint>, Unavailable> {
        let mut view = self.shared.subscribe();
        // Once the daemon stops there is nothing to wait for.
        let is_settled =
            |view: &View| view.stopped || view.current.as_deref().is_some_and(&is_right);
        let found = timeout(limit, view.wait_for(is_settled)).await;
        let view = found.ok().and_then(Result::ok).filter(|view| !view.stopped);
        let current = view.and_then(|view| view.current.clone());
        current.ok_or_else(|| Unavailable {
            waiting_for: self.status().detail,
        })
    }

    /// A connection to `endpoint` failed: no longer offer it until it is proven again, which is
    /// tried at once. Does nothing if another one is published by now.
    pub fn suspect(&self, endpoint: &Endpoint) {
        self.shared.suspect(endpoint);
    }

    /// Whether there is a browser, with a sentence for people.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// How many different browsers were published so far.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.shared.generation()
    }

    /// Why `endpoint` ended a session by a bare end of the connection: Chromium says nothing
    /// when a target closes, when it got a bad frame, or when it dies. `target` is the id of the
    /// session's target, `None` for the browser's own session. Takes 2 s at most.
    ///
    /// - The browser is gone, or another one is there: [`Close::BROWSER_RESTARTED`].
    /// - The target is no longer listed: [`Close::TARGET_CLOSED`].
    /// - Else [`Close::UPSTREAM_LOST`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn verdict(&self, endpoint: &Endpoint, target: Option<&str>) -> Close {
        verdict::verdict(&self.shared, endpoint, target).await
    }
}
