//! The size of the screen.

use axum::{Json, extract::State};
use browserd_api::{
    Error,
    display::{DisplayConfig, PatchDisplayRequest},
};
use browserd_display::{Resize, Size};

use crate::{app::App, error::Result, extract, openapi::DesktopFailures};

/// Tell the size of the screen
#[utoipa::path(
    get,
    path = "/display",
    tag = "display",
    responses(
        (status = 200, description = "Its size", body = DisplayConfig),
        DesktopFailures
    )
)]
pub(crate) async fn get_display(State(app): State<App>) -> Result<Json<DisplayConfig>> {
    let size = app.on_desktop(
        (),
        |desktop, ()| async move { desktop.display.size().await },
    );
    Ok(Json(config(size.await?)))
}

/// Change the size of the screen
///
/// Neither the X server nor Chromium is restarted. Chromium's window follows: by its window
/// manager, or without one by the daemon. What is not given stays, but for the refresh rate.
///
/// With `restart_chromium` Chromium is closed in good order afterwards, and the answer comes once
/// the next one can be connected to.
#[utoipa::path(
    patch,
    path = "/display",
    tag = "display",
    request_body = PatchDisplayRequest,
    responses(
        (status = 200, description = "The new size", body = DisplayConfig),
        (status = 400, description = "Out of range, or nothing to change", body = Error),
        (status = 501, description = "There is no X display, or it cannot be resized", body = Error),
        (status = 503, description = "The X server does not answer now", body = Error),
        (status = "default", description = "Any other failure", body = Error)
    )
)]
pub(crate) async fn patch_display(
    State(app): State<App>,
    extract::Json(request): extract::Json<PatchDisplayRequest>,
) -> Result<Json<DisplayConfig>> {
    let change = Resize {
        width: request.width,
        height: request.height,
        refresh: request.refresh_rate,
    };
    let size = app
        .on_desktop(change, |desktop, change| async move {
            desktop.display.resize(change).await
        })
        .await?;
    if request.restart_chromium {
        app.restart_chromium().await?;
    }
    Ok(Json(config(size)))
}

fn config(size: Size) -> DisplayConfig {
    DisplayConfig {
        width: size.width,
        height: size.height,
        refresh_rate: size.refresh,
    }
}
