//! The metrics port.

use axum::{extract::State, response::IntoResponse};
use browserd_api::Code;
use http::{StatusCode, header};

use crate::{
    app::App,
    error::{ApiError, Result},
};

/// The content type of the text format of OpenMetrics 1.0.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that is counted, for Prometheus.
pub(crate) async fn get_metrics(State(app): State<App>) -> Result<impl IntoResponse> {
    let upstream = &app.domains.upstream;
    let text = app
        .metrics
        .render(
            upstream.current().is_some(),
            upstream.generation(),
            &app.pools(),
        )
        .map_err(|error| {
            let failed = "cannot write the metrics";
            ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                Code::InternalError,
                failed,
            )
            .cause(error)
        })?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text))
}
