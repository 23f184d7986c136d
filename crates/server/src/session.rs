//! What goes on behind an upgrade: DevTools sessions, from the accepted upgrade to the last
//! byte, and the WebSockets of other routes.

use std::{future::Future, sync::Arc};

use browserd_devtools::{Endpoint, client::Opened, upstream::Upstream};
use browserd_ws::relay::{self, Leg, Outcome};
use hyper::upgrade::{OnUpgrade, Upgraded};
use tokio::net::TcpStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use crate::{
    listener::{self, Place, Socket},
    metrics::Metrics,
};

/// All open sessions.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    tracker: TaskTracker,
    stop: CancellationToken,
    options: relay::Options,
    metrics: Metrics,
}

/// A session that Chromium has accepted and the client is about to.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) client: OnUpgrade,
    pub(crate) opened: Opened,
    pub(crate) endpoint: Arc<Endpoint>,
    /// The id of the target, for a session below browser level.
    pub(crate) target: Option<String>,
    pub(crate) upstream: Upstream,
}

impl Sessions {
    pub(crate) fn new(metrics: Metrics, options: relay::Options) -> Self {
        Self {
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            options,
            metrics,
        }
    }

    /// Relays in a task of its own, which ends with either side or with the daemon.
    pub(crate) fn start(&self, accepted: Accepted) {
        let open = self.metrics.session();
        let sessions = self.clone();
        let session = async move {
            sessions.relay(accepted).await;
            drop(open);
        };
        self.tracker.spawn(session.in_current_span());
    }

    /// Runs another route's conversation in a task of its own. It ends with a close frame of
    /// its own when the token is cancelled.
    pub(crate) fn run<F>(&self, conversation: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let conversation = conversation(self.stop.clone());
        self.tracker.spawn(conversation.in_current_span());
    }

    /// Tells every client that the daemon goes, and waits until all sessions have ended.
    pub(crate) async fn end_all(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    async fn relay(&self, accepted: Accepted) {
        let Accepted {
            client,
            opened,
            endpoint,
            target,
            upstream,
        } = accepted;
        let (client, _place) = match client.await {
            Ok(upgraded) => leg(upgraded),
            Err(error) => {
                tracing::debug!(%error, "the client was gone before its upgrade");
                return;
            }
        };
        let chromium = Leg {
            stream: opened.stream,
            read_ahead: opened.read_ahead,
        };
        let verdict = || async { upstream.verdict(&endpoint, target.as_deref()).await };
        let outcome = relay::run(client, chromium, &self.options, &self.stop, verdict).await;
        self.report(&outcome, target.as_deref());
        if outcome.abort {
            // What the client has is cut within a frame; only a reset says so.
            let _ = outcome.client.set_zero_linger();
        }
    }

    fn report<C, U>(&self, outcome: &Outcome<C, U>, target: Option<&str>) {
        let ended_by = outcome.ended_by.as_str();
        self.metrics
            .session_ended(ended_by, outcome.to_client_bytes, outcome.to_upstream_bytes);
        tracing::info!(
            session.ended_by = ended_by,
            session.close_code = outcome.close_code,
            session.target = target,
            session.to_client_bytes = outcome.to_client_bytes,
            session.to_upstream_bytes = outcome.to_upstream_bytes,
            session.aborted = outcome.abort,
            "devtools session ended"
        );
    }
}

/// The plain stream under an upgraded connection, with what was read past the handshake, and its
/// place among the connections.
pub(crate) fn leg(upgraded: Upgraded) -> (Leg<TcpStream>, Place) {
    let Socket {
        stream,
        read_ahead,
        place,
    } = listener::unwrap(upgraded);
    (Leg { stream, read_ahead }, place)
}
