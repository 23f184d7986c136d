//! One event per request, and the span that gives every other event its request id.

use std::time::{Duration, Instant};

use axum::{
    Extension,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use tracing::Instrument as _;

use crate::{
    listener::Peer,
    metrics::Metrics,
    middleware::{caller::Refusal, request_id::RequestId},
};

/// Logs and counts the request when its answer is known. A path is logged without its
/// query, which may hold credentials.
pub(crate) async fn layer(
    State(metrics): State<Metrics>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = request
        .extensions()
        .get::<RequestId>()
        .cloned()
        .unwrap_or_default();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let span = tracing::info_span!("request", request.id = %id);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    metrics.request(
        peer.listener,
        &method,
        route.as_ref().map(MatchedPath::as_str),
        status,
    );
    let _in_span = span.entered();
    tracing::info!(
        http.method = %method,
        http.path = path,
        http.status = status,
        duration_ms = milliseconds(started.elapsed()),
        peer = %peer.address,
        listener = peer.listener,
        refused = response.extensions().get::<Refusal>().map(|refusal| refusal.rule()),
        "request"
    );
    response
}

/// To the microsecond: more digits are noise.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
