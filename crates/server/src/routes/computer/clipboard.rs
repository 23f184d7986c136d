//! The clipboard.

use axum::{Json, extract::State};
use browserd_api::{
    Error,
    computer::{ClipboardText, WriteClipboardRequest},
};

use crate::{app::App, error::Result, extract, openapi::DesktopFailures};

/// Read the clipboard's text
///
/// Empty when the clipboard holds nothing, or something that is no text.
#[utoipa::path(
    post,
    path = "/computer/clipboard/read",
    tag = "computer",
    responses(
        (status = 200, description = "The text", body = ClipboardText),
        (status = 504, description = "The program that owns the clipboard does not answer", body = Error),
        DesktopFailures
    )
)]
pub(crate) async fn read_clipboard(State(app): State<App>) -> Result<Json<ClipboardText>> {
    let text = app
        .on_desktop(
            (),
            |desktop, ()| async move { desktop.clipboard.read().await },
        )
        .await?;
    Ok(Json(ClipboardText { text }))
}

/// Write text to the clipboard
#[utoipa::path(
    post,
    path = "/computer/clipboard/write",
    tag = "computer",
    request_body = WriteClipboardRequest,
    responses(
        (status = 200, description = "It is there to be pasted"),
        (status = 400, description = "A field cannot be used", body = Error),
        DesktopFailures
    )
)]
pub(crate) async fn write_clipboard(
    State(app): State<App>,
    extract::Json(request): extract::Json<WriteClipboardRequest>,
) -> Result<()> {
    let text = request.text;
    Ok(app
        .on_desktop(text, |desktop, text| async move {
            desktop.clipboard.write(text).await
        })
        .await?)
}
