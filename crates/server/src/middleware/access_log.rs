//! One event per request, and the span that gives every other event its request id.

use std::time::{Duration, Instant};

use axum::{
    Extension,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use http::{Method, StatusCode};
use tracing::{Instrument as _, Span};

use crate::{
    listener::Peer,
    metrics::Metrics,
    middleware::{caller::Refusal, request_id::RequestId},
};

/// What is logged for a client that went away before it was answered, as nginx does.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// A request that is not yet logged. Dropped without an answer, it is logged as given up:
/// hyper drops the handler when the client's connection ends.
struct Entry {
    started: Instant,
    span: Span,
    method: Method,
    /// Without its query, which may hold credentials.
    path: String,
    route: Option<MatchedPath>,
    peer: Peer,
    metrics: Metrics,
    status: u16,
    refused: Option<&'static str>,
}

/// Logs and counts the request when its answer is known, or the client is gone.
pub(crate) async fn layer(
    State(metrics): State<Metrics>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let id = request
        .extensions()
        .get::<RequestId>()
        .cloned()
        .unwrap_or_default();
    let span = tracing::info_span!("request", request.id = %id);
    let mut entry = Entry {
        started: Instant::now(),
        span: span.clone(),
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        route: request.extensions().get::<MatchedPath>().cloned(),
        peer,
        metrics,
        status: CLIENT_CLOSED_REQUEST,
        refused: None,
    };
    let response = next.run(request).instrument(span).await;
    entry.status = response.status().as_u16();
    entry.refused = response
        .extensions()
        .get::<Refusal>()
        .map(|refusal| refusal.rule());
    response
}

impl Drop for Entry {
    fn drop(&mut self) {
        let route = self.route.as_ref().map(MatchedPath::as_str);
        self.metrics
            .request(self.peer.listener, &self.method, route, self.status);
        let _in_span = self.span.enter();
        if self.is_passed_check() {
            tracing::debug!(http.path = self.path, "health check");
            return;
        }
        tracing::info!(
            http.method = %self.method,
            http.path = self.path,
            http.status = self.status,
            duration_ms = milliseconds(self.started.elapsed()),
            peer = %self.peer.address,
            listener = self.peer.listener,
            refused = self.refused,
            "request"
        );
    }
}

impl Entry {
    /// A check of the health that found nothing: every few seconds, for as long as the machine
    /// lives.
    fn is_passed_check(&self) -> bool {
        self.method == Method::GET
            && self.status == StatusCode::OK.as_u16()
            && matches!(self.path.as_str(), "/healthz" | "/readyz")
    }
}

/// To the microsecond: more digits are noise.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
