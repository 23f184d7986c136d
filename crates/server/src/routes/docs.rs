//! The API's document, raw and as a page that needs no network.

use axum::{
    Extension, Router,
    extract::Request,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::get,
};
use browserd_api::Error;
use http::{HeaderValue, StatusCode, header};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{error::ApiError, openapi::Rendered};

const YAML: &str = "application/yaml";
/// Only this origin's own files; the page's library needs inline styles and data images.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; frame-ancestors 'none'";

/// This document as YAML
///
/// `/spec.yaml` is the same.
#[utoipa::path(
    get,
    path = "/openapi.yaml",
    tag = "operations",
    responses(
        (status = 200, description = "OpenAPI 3.1", body = String, content_type = YAML),
        (status = "default", description = "The caller may not call", body = Error)
    )
)]
pub(crate) async fn get_openapi_yaml(Extension(document): Extension<Rendered>) -> Response {
    ([(header::CONTENT_TYPE, YAML)], document.yaml).into_response()
}

/// This document as JSON
///
/// `/spec.json` is the same.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "operations",
    responses(
        (status = 200, description = "OpenAPI 3.1", body = Object),
        (status = "default", description = "The caller may not call", body = Error)
    )
)]
pub(crate) async fn get_openapi_json(Extension(document): Extension<Rendered>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document.json).into_response()
}

/// The aliases of the document, and `/docs`.
pub(crate) fn router() -> Router {
    // Calls from the page would carry an Origin, which is refused: so it offers none.
    let config = Config::from("/openapi.json")
        .use_base_layout()
        .supported_submit_methods([""; 0]);
    let page = Router::from(SwaggerUi::new("/docs").config(config)).layer(from_fn(guard));
    Router::new()
        .route("/spec.yaml", get(get_openapi_yaml))
        .route("/spec.json", get(get_openapi_json))
        .merge(page)
}

async fn guard(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    // The library's own answer has no body.
    if response.status() == StatusCode::NOT_FOUND {
        return ApiError::no_such_route(&path).into_response();
    }
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
