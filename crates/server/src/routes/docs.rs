//! The API's document, raw and as a page that needs no network.

use axum::{Router, body::Bytes, middleware::from_fn, response::IntoResponse, routing::get};
use axum::{extract::Request, middleware::Next, response::Response};
use http::{HeaderValue, header};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::openapi::Rendered;

/// Only this origin's own files; the page's library needs inline styles and data images.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; frame-ancestors 'none'";

/// `/openapi.yaml`, `/openapi.json`, their aliases, and `/docs`.
pub(crate) fn router(document: Rendered) -> Router {
    let Rendered { yaml, json } = document;
    let yaml = get(async move || answer("application/yaml", yaml));
    let json = get(async move || answer("application/json", json));
    // Calls from the page would carry an Origin, which is refused: so it offers none.
    let config = Config::from("/openapi.json")
        .use_base_layout()
        .supported_submit_methods([""; 0]);
    let page = Router::from(SwaggerUi::new("/docs").config(config)).layer(from_fn(guard));
    Router::new()
        .route("/openapi.yaml", yaml.clone())
        .route("/spec.yaml", yaml)
        .route("/openapi.json", json.clone())
        .route("/spec.json", json)
        .merge(page)
}

fn answer(kind: &'static str, document: Bytes) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], document)
}

async fn guard(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}
