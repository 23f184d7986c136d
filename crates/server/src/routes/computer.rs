//! Mouse, keyboard and screen.

pub(crate) mod batch;
pub(crate) mod clipboard;
mod convert;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use browserd_api::{
    Error,
    computer::{
        ClickMouseRequest, DragMouseRequest, MousePosition, MoveMouseRequest, Okay,
        PressKeyRequest, ScreenshotRequest, ScrollRequest, SetCursorRequest, TypeTextRequest,
    },
};
use browserd_display::Format;
use http::header;

use crate::{app::App, error::Result, extract, openapi::DesktopFailures};

/// Click, or press or release a button
///
/// The pointer jumps to the place first. What is pressed by `down` stays down until `up`.
#[utoipa::path(
    post,
    path = "/computer/click_mouse",
    tag = "computer",
    request_body = ClickMouseRequest,
    responses(
        (status = 200, description = "It is done"),
        (status = 400, description = "A field cannot be used; nothing was pressed", body = Error),
        DesktopFailures
    )
)]
pub(crate) async fn click_mouse(
    State(app): State<App>,
    extract::Json(request): extract::Json<ClickMouseRequest>,
) -> Result<()> {
    let click = convert::click(request);
    Ok(app
        .on_desktop(click, |desktop, click| async move {
            desktop.input.click(click).await
        })
        .await?)
}

/// Move the pointer
#[utoipa::path(
    post,
    path = "/computer/move_mouse",
    tag = "computer",
    request_body = MoveMouseRequest,
    responses(
        (status = 200, description = "It is exactly there"),
        (status = 400, description = "A field cannot be used; nothing was moved", body = Error),
        DesktopFailures
    )
)]
pub(crate) async fn move_mouse(
    State(app): State<App>,
    extract::Json(request): extract::Json<MoveMouseRequest>,
) -> Result<()> {
    let motion = convert::motion(request);
    Ok(app
        .on_desktop(motion, |desktop, motion| async move {
            desktop.input.move_pointer(motion).await
        })
        .await?)
}

/// Drag along a path
///
/// A client that goes away ends the drag where it is; no button stays down.
#[utoipa::path(
    post,
    path = "/computer/drag_mouse",
    tag = "computer",
    request_body = DragMouseRequest,
    responses(
        (status = 200, description = "It is done"),
        (status = 400, description = "A field cannot be used; nothing was pressed", body = Error),
        DesktopFailures
    )
)]
pub(crate) async fn drag_mouse(
    State(app): State<App>,
    extract::Json(request): extract::Json<DragMouseRequest>,
) -> Result<()> {
    let drag = convert::drag(request)?;
    Ok(app
        .on_desktop(drag, |desktop, drag| async move {
            desktop.input.drag(drag).await
        })
        .await?)
}

/// Turn the wheel at a place
#[utoipa::path(
    post,
    path = "/computer/scroll",
    tag = "computer",
    request_body = ScrollRequest,
    responses(
        (status = 200, description = "It is done"),
        (status = 400, description = "A field cannot be used; nothing was turned", body = Error),
        DesktopFailures
    )
)]
pub(crate) async fn scroll(
    State(app): State<App>,
    extract::Json(request): extract::Json<ScrollRequest>,
) -> Result<()> {
    let scroll = convert::scroll(request);
    Ok(app
        .on_desktop(scroll, |desktop, scroll| async move {
            desktop.input.scroll(scroll).await
        })
        .await?)
}

/// Type a text
///
/// What arrives in a focused text field is the text, in any script and whatever the keyboard's
/// layout, or the call fails and names the character that cannot be typed.
///
/// The SDKs' clients give up after 60 s: give long texts with a `delay` a longer `timeout`.
#[utoipa::path(
    post,
    path = "/computer/type",
    tag = "computer",
    request_body = TypeTextRequest,
    responses(
        (status = 200, description = "It is typed"),
        (status = 400, description = "A field cannot be used, or a character not be typed", body = Error),
        DesktopFailures
    )
)]
pub(crate) async fn type_text(
    State(app): State<App>,
    extract::Json(request): extract::Json<TypeTextRequest>,
) -> Result<()> {
    let typing = convert::typing(request);
    Ok(app
        .on_desktop(typing, |desktop, typing| async move {
            desktop.input.type_text(typing).await
        })
        .await?)
}

/// Press keys, or combinations of them
///
/// A combination is `Ctrl+Shift+t`, or a list that begins with a modifier alone: `["CTRL", "A"]`.
/// Other lists are pressed one after the other. A capital in a combination adds no Shift: `Ctrl+L`
/// is Ctrl and the key of l; alone, `L` is the capital.
///
/// A name of X means what X says (`Return`, `Page_Down`, `XF86AudioMute`), a single character
/// itself, `U20AC` a code point, `0xff0d` a keysym, a number a keycode. Else these are known, in any
/// case, and with or without `_`, `-` and spaces:
///
/// | Key | Names |
/// |---|---|
/// | Control, Alt, Shift | `ctrl`, `control`, `alt`, `option`, `shift`; with `Left` or `Right` behind |
/// | Super | `super`, `cmd`, `command`, `meta`, `win`, `windows`, `os` |
/// | AltGr | `AltGraph`, `altgr` |
/// | Enter | `Enter`, `NumpadEnter` for the other one |
/// | Arrows | `ArrowUp`, `up`, and so on |
/// | Page up and down | `PageUp`, `pgup`, `PageDown`, `pgdn` |
/// | Others | `esc`, `del`, `ins`, `Backspace`, `bksp`, `spacebar`, `PrintScreen`, `ContextMenu`, `apps`, `caps` |
/// | Letters, digits, signs | `KeyA`, `Digit1`, `Numpad1`, `NumpadAdd`, `Minus`, `BracketLeft`, `Backquote`, as the web's `code` |
/// | Media | `AudioVolumeUp`, `MediaPlayPause`, `BrowserBack`, `Copy`, as the web's `key` |
///
/// What is unknown is a 400 that offers the nearest names.
#[utoipa::path(
    post,
    path = "/computer/press_key",
    tag = "computer",
    request_body = PressKeyRequest,
    responses(
        (status = 200, description = "It is done; all are released"),
        (status = 400, description = "A field cannot be used; nothing was pressed", body = Error),
        DesktopFailures
    )
)]
pub(crate) async fn press_key(
    State(app): State<App>,
    extract::Json(request): extract::Json<PressKeyRequest>,
) -> Result<()> {
    let press = convert::press(request);
    Ok(app
        .on_desktop(press, |desktop, press| async move {
            desktop.input.press(press).await
        })
        .await?)
}

/// Take a picture of the screen
///
/// Of the screen as it is now; it waits for no input that is under way.
#[utoipa::path(
    post,
    path = "/computer/screenshot",
    tag = "computer",
    request_body = ScreenshotRequest,
    responses(
        (
            status = 200,
            description = "The picture, in the format that was asked for",
            content(
                (String = "image/png", example = "binary"),
                (String = "image/jpeg", example = "binary"),
                (String = "image/webp", example = "binary")
            )
        ),
        (status = 400, description = "A field cannot be used, or the region is not on the screen", body = Error),
        DesktopFailures
    )
)]
pub(crate) async fn take_screenshot(
    State(app): State<App>,
    extract::Json(request): extract::Json<ScreenshotRequest>,
) -> Result<Response> {
    let shot = convert::shot(request);
    let picture = app
        .on_desktop(shot, |desktop, shot| async move {
            desktop.screen.screenshot(shot).await
        })
        .await?;
    let kind = match picture.format {
        Format::Png => "image/png",
        Format::Jpeg => "image/jpeg",
        Format::Webp => "image/webp",
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, picture.bytes).into_response())
}

/// Hide the cursor, or show it again
///
/// It stays hidden until it is shown again or the daemon stops, and through restarts of the X
/// server.
#[utoipa::path(
    post,
    path = "/computer/cursor",
    tag = "computer",
    request_body = SetCursorRequest,
    responses(
        (status = 200, description = "It is done", body = Okay),
        (status = 400, description = "A field cannot be used", body = Error),
        DesktopFailures
    )
)]
pub(crate) async fn set_cursor(
    State(app): State<App>,
    extract::Json(request): extract::Json<SetCursorRequest>,
) -> Result<Json<Okay>> {
    let hidden = request.hidden;
    app.on_desktop(hidden, |desktop, hidden| async move {
        desktop.cursor.set_hidden(hidden).await
    })
    .await?;
    Ok(Json(Okay { ok: true }))
}

/// Tell where the pointer is
#[utoipa::path(
    post,
    path = "/computer/get_mouse_position",
    tag = "computer",
    responses(
        (status = 200, description = "The place", body = MousePosition),
        DesktopFailures
    )
)]
pub(crate) async fn get_mouse_position(State(app): State<App>) -> Result<Json<MousePosition>> {
    let place = app
        .on_desktop(
            (),
            |desktop, ()| async move { desktop.input.position().await },
        )
        .await?;
    Ok(Json(MousePosition {
        x: place.x,
        y: place.y,
    }))
}
