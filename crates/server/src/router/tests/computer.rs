//! The computer and display routes: what they refuse, and by what name. The display is not
//! there, so whatever passes the checks is answered with 503.

use axum::{Router, body::Body, http::Request};
use serde_json::{Value, json};

use super::{Answer, app, send_with};
use crate::{middleware::caller::Rules, router};

async fn call(router: &Router, method: &str, path: &str, body: &Value) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json");
    send_with(router.clone(), request, Body::from(body.to_string())).await
}

/// Every route with a body that it takes.
fn routes() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("POST", "/computer/click_mouse", json!({"x": 1, "y": 2})),
        (
            "POST",
            "/computer/move_mouse",
            json!({"x": 1, "y": 2, "smooth": false}),
        ),
        (
            "POST",
            "/computer/drag_mouse",
            json!({"path": [[1, 2], [3, 4]]}),
        ),
        (
            "POST",
            "/computer/scroll",
            json!({"x": 1, "y": 2, "delta_y": 3}),
        ),
        ("POST", "/computer/type", json!({"text": "hi"})),
        ("POST", "/computer/press_key", json!({"keys": ["Ctrl+t"]})),
        ("POST", "/computer/screenshot", json!({})),
        ("POST", "/computer/cursor", json!({"hidden": true})),
        ("POST", "/computer/get_mouse_position", json!({})),
        ("POST", "/computer/clipboard/read", json!({})),
        ("POST", "/computer/clipboard/write", json!({"text": "hi"})),
        (
            "POST",
            "/computer/batch",
            json!({"actions": [{"type": "scroll", "scroll": {"x": 1, "y": 2, "delta_x": 1}}]}),
        ),
        ("GET", "/display", json!({})),
        ("PATCH", "/display", json!({"width": 800})),
    ]
}

/// Routes that must not be called twice by a client that retries by itself.
fn is_once(method: &str, path: &str) -> bool {
    let names = [
        "click_mouse",
        "move_mouse",
        "drag_mouse",
        "scroll",
        "type",
        "press_key",
        "batch",
    ];
    method == "PATCH" || names.iter().any(|name| path == format!("/computer/{name}"))
}

#[tokio::test]
async fn a_display_that_does_not_answer_is_503() {
    let router = router::api(&app(Rules::default()));
    for (method, path, body) in routes() {
        let answer = call(&router, method, path, &body).await;
        let message = answer.assert_error(503, "upstream_unavailable");
        assert!(
            message.contains("X server of display :65000"),
            "{path}: {message}"
        );
        assert!(answer.headers.contains_key("retry-after"), "{path}");
        let marked = answer
            .headers
            .get("x-should-retry")
            .map(http::HeaderValue::as_bytes);
        assert_eq!(
            marked,
            is_once(method, path).then_some(&b"false"[..]),
            "{path}"
        );
    }
}

#[tokio::test]
async fn without_a_display_everything_is_501() {
    let mut app = app(Rules::default());
    app.domains.desktop = None;
    let router = router::api(&app);
    for (method, path, body) in routes() {
        let message = call(&router, method, path, &body)
            .await
            .assert_error(501, "not_implemented");
        assert_eq!(message, "there is no X display", "{path}");
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn what_cannot_be_is_refused_and_named() {
    let many: Vec<_> = (0..101)
        .map(|_| json!({"type": "sleep", "sleep": {"duration_ms": 0}}))
        .collect();
    let click = json!({"x": 1, "y": 2});
    let cases = [
        ("click_mouse", json!({"y": 2}), "missing field `x`"),
        ("click_mouse", json!({"x": 1.5, "y": 2}), "x: "),
        (
            "click_mouse",
            json!({"x": 1, "y": 2, "button": "fire"}),
            "button: unknown variant `fire`",
        ),
        (
            "click_mouse",
            json!({"x": 1, "y": 2, "click_type": "tap"}),
            "click_type: unknown variant",
        ),
        (
            "click_mouse",
            json!({"x": 1, "y": 2, "num_clicks": 0}),
            "num_clicks: 0 is not between",
        ),
        (
            "click_mouse",
            json!({"x": 1, "y": 2, "hold_keys": ["Hyperdrive"]}),
            "hold_keys[0]: ",
        ),
        (
            "click_mouse",
            json!({"x": 1, "y": 2, "z": 3}),
            "z: unknown field `z`",
        ),
        (
            "move_mouse",
            json!({"x": 1, "y": 2, "duration_ms": 10}),
            "duration_ms: 10 is not between 50 and 5000",
        ),
        (
            "move_mouse",
            json!({"x": 1, "y": 2, "duration_ms": 5001}),
            "duration_ms: ",
        ),
        (
            "move_mouse",
            json!({"x": 1, "y": 2, "duration_ms": -1}),
            "duration_ms: ",
        ),
        (
            "drag_mouse",
            json!({"path": [[1, 2]]}),
            "path: 1 is not between 2",
        ),
        (
            "drag_mouse",
            json!({"path": [[1, 2], [1, 2, 3]]}),
            "path[1]: a point is [x, y], not 3 numbers",
        ),
        (
            "drag_mouse",
            json!({"path": [[1, 2], [3, 4]], "button": "back"}),
            "button: unknown variant",
        ),
        (
            "drag_mouse",
            json!({"path": [[1, 2], [3, 4]], "duration_ms": 10}),
            "duration_ms: ",
        ),
        (
            "drag_mouse",
            json!({"path": [[1, 2], [3, 4]], "steps_per_segment": 0}),
            "steps_per_segment: ",
        ),
        (
            "scroll",
            json!({"x": 1, "y": 2}),
            "delta_y: delta_x and delta_y are both 0",
        ),
        ("type", json!({"text": "a\u{0}"}), "text: cannot type"),
        ("type", json!({"text": "a", "delay": -1}), "delay: "),
        (
            "type",
            json!({"text": "a", "typo_chance": 0.11}),
            "typo_chance: ",
        ),
        ("press_key", json!({"keys": []}), "keys: is empty"),
        ("press_key", json!({"keys": ["a", "Nokey"]}), "keys[1]: "),
        (
            "screenshot",
            json!({"quality": 300}),
            "quality 300 is not between 1 and 100",
        ),
        (
            "screenshot",
            json!({"scale": 2.0}),
            "scale 2 is not between 0.1 and 1",
        ),
        (
            "screenshot",
            json!({"format": "gif"}),
            "format: unknown variant `gif`",
        ),
        (
            "screenshot",
            json!({"region": {"x": 0, "y": 0, "width": -1, "height": 1}}),
            "region.width: ",
        ),
        (
            "screenshot",
            json!({"region": {"x": 0, "y": 0, "width": 1}}),
            "region: missing field `height`",
        ),
        ("cursor", json!({}), "missing field `hidden`"),
        ("clipboard/write", json!({}), "missing field `text`"),
        (
            "batch",
            json!({"actions": []}),
            "actions: 0 is not between 1 and 100",
        ),
        (
            "batch",
            json!({"actions": many}),
            "actions: 101 is not between 1 and 100",
        ),
        (
            "batch",
            json!({"actions": [{"type": "sleep", "sleep": {"duration_ms": 30001}}]}),
            "actions[0] (sleep): duration_ms: ",
        ),
        (
            "batch",
            json!({"actions": [{"type": "click_mouse"}]}),
            "actions[0]: the type is click_mouse, but the field click_mouse is missing",
        ),
        (
            "batch",
            json!({"actions": [{"type": "click_mouse", "click_mouse": click, "scroll": {"x": 1, "y": 2, "delta_y": 1}}]}),
            "actions[0]: the type is click_mouse, but the field scroll is given",
        ),
        (
            "batch",
            json!({"actions": [{"type": "explode"}]}),
            "actions[0].type: unknown variant",
        ),
        (
            "batch",
            json!({"actions": [{"type": "drag_mouse", "drag_mouse": {"path": [[1, 2], [3]]}}]}),
            "actions[0]: drag_mouse.path[1]: ",
        ),
    ];
    let router = router::api(&app(Rules::default()));
    for (route, body, wanted) in cases {
        let answer = call(&router, "POST", &format!("/computer/{route}"), &body).await;
        let message = answer.assert_error(400, "bad_request");
        assert!(message.starts_with(wanted), "{route} {body}: {message}");
    }
}

#[tokio::test]
async fn sizes_that_cannot_be_are_refused_and_named() {
    let router = router::api(&app(Rules::default()));
    for (body, wanted) in [
        (json!({}), "nothing to change"),
        (json!({"require_idle": false}), "nothing to change"),
        (
            json!({"width": 319}),
            "width 319 is not between 320 and 3840",
        ),
        (
            json!({"width": 3841}),
            "width 3841 is not between 320 and 3840",
        ),
        (
            json!({"height": 239}),
            "height 239 is not between 240 and 2160",
        ),
        (
            json!({"height": 2161}),
            "height 2161 is not between 240 and 2160",
        ),
        (
            json!({"refresh_rate": 0}),
            "refresh rate 0 is not between 1 and 240",
        ),
        (json!({"width": 1_000_000}), "width: "),
        (json!({"widht": 800}), "widht: unknown field `widht`"),
    ] {
        let answer = call(&router, "PATCH", "/display", &body).await;
        let message = answer.assert_error(400, "bad_request");
        assert!(message.starts_with(wanted), "{body}: {message}");
    }
}

#[tokio::test]
async fn ten_megabytes_of_text_are_too_much() {
    let router = router::api(&app(Rules::default()));
    for path in ["/computer/type", "/computer/clipboard/write"] {
        let body = json!({"text": "x".repeat(10_000_000)});
        let answer = call(&router, "POST", path, &body).await;
        answer.assert_error(413, "payload_too_large");
    }
    let body = json!({"text": "x".repeat(100_001)});
    let answer = call(&router, "POST", "/computer/type", &body).await;
    let message = answer.assert_error(400, "bad_request");
    assert!(
        message.starts_with("text: has 100001 characters"),
        "{message}"
    );
}
