//! CORS answers for the pages that are configured to call.

use std::time::Duration;

use http::{HeaderName, HeaderValue, header};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

use crate::middleware::caller::Rules;

/// How long a browser may remember a preflight's answer.
const MAX_AGE: Duration = Duration::from_secs(600);

/// The layer, or nothing where no page may call.
pub(crate) fn layer(rules: &Rules) -> Option<CorsLayer> {
    if rules.allowed_origins.is_empty() {
        return None;
    }
    let origins = rules
        .allowed_origins
        .iter()
        .filter_map(|origin| HeaderValue::from_str(origin.as_str()).ok());
    let exposed = [
        header::ETAG,
        header::RETRY_AFTER,
        HeaderName::from_static("x-request-id"),
        HeaderName::from_static("x-sse-content-type"),
    ];
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .allow_private_network(true)
        .expose_headers(exposed)
        .max_age(MAX_AGE);
    Some(layer)
}
