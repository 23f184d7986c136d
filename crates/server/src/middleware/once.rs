//! Routes whose call must not be run twice by a client that retries by itself.

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::table::{self, Retry};

/// Read by the SDKs, which otherwise retry 408, 409, 429 and 5xx.
pub(crate) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Marks every answer of such a route that the SDKs would retry.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let row = request
        .extensions()
        .get::<MatchedPath>()
        .and_then(|path| table::find(request.method().as_str(), path.as_str()));
    let is_once = row.is_some_and(|row| row.retry == Retry::Once);
    let mut response = next.run(request).await;
    if is_once && is_retried(response.status()) {
        let no = HeaderValue::from_static("false");
        response.headers_mut().insert(SHOULD_RETRY, no);
    }
    response
}

fn is_retried(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS
    ) || status.is_server_error()
}
