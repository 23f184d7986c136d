//! Health and readiness.

use axum::{Json, extract::State};
use browserd_api::{Error, Health, Ready};
use http::StatusCode;

use crate::{app::App, readiness};

/// The process is alive
///
/// Answered as soon as the port is bound, whatever the state of the browser.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operations",
    responses(
        (status = 200, description = "Always `ok`", body = Health),
        (status = "default", description = "The caller may not call", body = Error)
    )
)]
pub(crate) async fn get_healthz() -> Json<Health> {
    Json(Health {
        status: "ok".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// The machine is ready for a browser session
///
/// Each part says in a sentence what it is or what it waits for.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    responses(
        (status = 200, description = "Every part is ready", body = Ready),
        (status = 503, description = "A part is not ready, or the daemon shuts down", body = Ready),
        (status = "default", description = "The caller may not call", body = Error)
    )
)]
pub(crate) async fn get_readyz(State(app): State<App>) -> (StatusCode, Json<Ready>) {
    let ready = readiness::check(&app).await;
    let status = if ready.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(ready))
}
