//! Several actions in one request.

use axum::extract::State;
use browserd_api::{
    Error,
    computer::{ActionType, BatchRequest, ComputerAction},
};
use browserd_display::input::Action;

use super::convert;
use crate::{
    app::App,
    error::{ApiError, Result},
    extract,
    openapi::DesktopFailures,
};

/// Do several things one after the other, with nothing in between
///
/// Everything is checked before the first one begins. The first one that fails ends the batch;
/// the message names its index and type. The SDKs' clients give up after 60 s: give batches that
/// sleep a longer `timeout`.
///
/// Nothing waits for the browser either. A key of the browser itself, as Ctrl+L, goes to the page
/// first where the page has the focus, and what is typed at once after it does so too: put a
/// `sleep` of some 100 ms between the two.
#[utoipa::path(
    post,
    path = "/computer/batch",
    tag = "computer",
    request_body = BatchRequest,
    responses(
        (status = 200, description = "All of it is done"),
        (status = 400, description = "An action cannot be done", body = Error),
        DesktopFailures
    )
)]
pub(crate) async fn batch_computer_actions(
    State(app): State<App>,
    extract::Json(request): extract::Json<BatchRequest>,
) -> Result<()> {
    let actions = request.actions.into_iter().enumerate();
    let actions: Result<Vec<Action>> = actions
        .map(|(index, action)| {
            convert_action(action)
                .map_err(|reason| ApiError::bad_request(format!("actions[{index}]: {reason}")))
        })
        .collect();
    let actions = actions?;
    Ok(app
        .on_desktop(actions, |desktop, actions| async move {
            desktop.input.batch(actions).await
        })
        .await?)
}

/// The action, if it has the one field that its type is for.
#[expect(clippy::too_many_lines, reason = "a table of the types")]
fn convert_action(wire: ComputerAction) -> std::result::Result<Action, String> {
    let ComputerAction {
        r#type,
        click_mouse,
        move_mouse,
        type_text,
        press_key,
        scroll,
        drag_mouse,
        set_cursor,
        sleep,
    } = wire;
    let given = [
        ("click_mouse", click_mouse.is_some()),
        ("move_mouse", move_mouse.is_some()),
        ("type_text", type_text.is_some()),
        ("press_key", press_key.is_some()),
        ("scroll", scroll.is_some()),
        ("drag_mouse", drag_mouse.is_some()),
        ("set_cursor", set_cursor.is_some()),
        ("sleep", sleep.is_some()),
    ];
    let (name, action) = match r#type {
        ActionType::ClickMouse => (
            "click_mouse",
            click_mouse.map(|wire| Action::Click(convert::click(wire))),
        ),
        ActionType::MoveMouse => (
            "move_mouse",
            move_mouse.map(|wire| Action::Move(convert::motion(wire))),
        ),
        ActionType::TypeText => (
            "type_text",
            type_text.map(|wire| Action::Type(convert::typing(wire))),
        ),
        ActionType::PressKey => (
            "press_key",
            press_key.map(|wire| Action::Press(convert::press(wire))),
        ),
        ActionType::Scroll => (
            "scroll",
            scroll.map(|wire| Action::Scroll(convert::scroll(wire))),
        ),
        ActionType::DragMouse => {
            let drag = drag_mouse.map(convert::drag).transpose();
            let drag = drag.map_err(|error| format!("drag_mouse.{}", error.message()))?;
            ("drag_mouse", drag.map(Action::Drag))
        }
        ActionType::SetCursor => (
            "set_cursor",
            set_cursor.map(|wire| Action::SetCursor {
                hidden: wire.hidden,
            }),
        ),
        ActionType::Sleep => (
            "sleep",
            sleep.map(|wire| Action::Sleep {
                duration_ms: wire.duration_ms,
            }),
        ),
    };
    let other = given.iter().find(|(field, given)| *given && *field != name);
    if let Some((other, _)) = other {
        return Err(format!(
            "the type is {name}, but the field {other} is given"
        ));
    }
    action.ok_or_else(|| format!("the type is {name}, but the field {name} is missing"))
}
