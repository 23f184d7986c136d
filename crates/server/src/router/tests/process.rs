//! The process routes: what they refuse, and by what name.

use axum::{Router, body::Body, http::Request};
use serde_json::{Value, json};

use super::{Answer, app, send, send_with};
use crate::{middleware::caller::Rules, router};

/// An id that no process has.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

fn api() -> Router {
    router::api(&app(Rules::default()))
}

async fn post(router: &Router, path: &str, body: &Value) -> Answer {
    let request = Request::post(path).header("content-type", "application/json");
    send_with(router.clone(), request, Body::from(body.to_string())).await
}

async fn get(router: &Router, path: &str) -> Answer {
    send(router.clone(), Request::get(path)).await
}

/// Starts a process; returns the beginning of its routes.
async fn spawn(router: &Router, body: Value) -> String {
    let answer = post(router, "/process/spawn", &body).await;
    assert_eq!(answer.status, 200);
    format!("/process/{}", answer.json()["process_id"].as_str().unwrap())
}

/// Reads the output to the exit, which waits for it.
async fn ended(router: &Router, process: &str) -> String {
    let answer = get(router, &format!("{process}/stdout/stream")).await;
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body).unwrap()
}

#[tokio::test]
async fn exec_answers_with_all_of_its_fields() {
    let script = "printf hi; printf oh >&2; exit 3";
    let body = json!({"command": "/bin/sh", "args": ["-c", script]});
    let answer = post(&api(), "/process/exec", &body).await;
    assert_eq!(answer.status, 200);
    let mut result = answer.json();
    assert!(result["duration_ms"].take().is_u64());
    let wanted = json!({
        "exit_code": 3, "stdout_b64": "aGk=", "stderr_b64": "b2g=", "duration_ms": null,
        "timed_out": false, "signal": null, "stdout_truncated": false, "stderr_truncated": false
    });
    assert_eq!(result, wanted);
}

#[tokio::test]
async fn a_signal_is_an_exit_code_and_a_name() {
    let body = json!({"command": "/bin/sh", "args": ["-c", "kill -KILL $$"]});
    let result = post(&api(), "/process/exec", &body).await.json();
    let ending = [&result["exit_code"], &result["signal"]];
    assert_eq!(ending, [&json!(137), &json!("SIGKILL")]);
}

#[tokio::test]
async fn a_timeout_is_an_error_with_the_partial_output() {
    let script = "printf part; sleep 1000";
    let body = json!({"command": "/bin/sh", "args": ["-c", script], "timeout_sec": 1});
    let answer = post(&api(), "/process/exec", &body).await;
    let message = answer.assert_error(408, "timeout");
    assert!(message.starts_with("timeout_sec: "), "{message}");
    assert_eq!(answer.headers["x-should-retry"], "false");
    let result = &answer.json()["result"];
    assert_eq!(result["stdout_b64"], "cGFydA==");
    let ending = [&result["timed_out"], &result["exit_code"]];
    assert_eq!(ending, [&json!(true), &json!(143)]);
}

#[tokio::test]
async fn bad_commands_are_refused_by_the_name_of_their_field() {
    let router = api();
    let with = |field: &str, value: Value| json!({"command": "true", field: value});
    for (body, named) in [
        (json!({}), "command"),
        (json!({"command": ""}), "command: "),
        (json!({"command": "a\0b"}), "command: "),
        (json!({"command": ["ls"]}), "command: "),
        (json!({"command": "no-such-program"}), "no-such-program"),
        (json!({"command": "/etc/passwd"}), "/etc/passwd"),
        (with("args", json!(["a", "b\0"])), "args[1]: "),
        (with("args", json!("a")), "args: "),
        (with("cwd", json!("tmp")), "cwd: "),
        (with("cwd", json!("/no/folder")), "cwd /no/folder"),
        (with("env", json!({"A": 1})), "env.A: "),
        (with("env", json!({"A": "\0"})), "env.A: "),
        (with("env", json!({"A=B": ""})), "env: "),
        (with("as_user", json!("no-such-user")), "as_user: "),
        (with("timeout_sec", json!(0)), "timeout_sec: "),
        (with("timeout_sec", json!(-1)), "timeout_sec: "),
        (with("stdin_b64", json!("%")), "stdin_b64: invalid base64"),
        (with("comand", json!("x")), "comand"),
        (
            json!({"command": "true", "as_user": "nobody", "as_root": true}),
            "as_user",
        ),
    ] {
        for path in ["/process/exec", "/process/spawn"] {
            let answer = post(&router, path, &body).await;
            let message = answer.assert_error(400, "bad_request");
            assert!(message.contains(named), "{path} {body}: {message}");
        }
    }
}

#[tokio::test]
async fn bad_terminals_are_refused() {
    let router = api();
    for (field, value, tty) in [
        ("rows", json!(0), true),
        ("rows", json!(70_000), true),
        ("cols", json!(0), false),
        ("cols", json!(-1), true),
        ("rows", json!("24"), true),
    ] {
        let body = json!({"command": "true", "allocate_tty": tty, field: value});
        let answer = post(&router, "/process/spawn", &body).await;
        let message = answer.assert_error(400, "bad_request");
        assert!(
            message.starts_with(&format!("{field}: ")),
            "{body}: {message}"
        );
    }
    let body = json!({"command": "true", "rows": 24});
    let answer = post(&router, "/process/exec", &body).await;
    let message = answer.assert_error(400, "bad_request");
    assert!(message.contains("unknown field `rows`"), "{message}");
}

#[tokio::test]
async fn ten_megabytes_of_environment_are_too_large() {
    let router = api();
    let body = json!({"command": "true", "env": {"A": "x".repeat(10_000_000)}});
    for path in ["/process/exec", "/process/spawn"] {
        let answer = post(&router, path, &body).await;
        answer.assert_error(413, "payload_too_large");
    }
    // Within the limit of bodies, and above that of the system.
    let body = json!({"command": "true", "env": {"A": "x".repeat(4_000_000)}});
    let answer = post(&router, "/process/exec", &body).await;
    let message = answer.assert_error(400, "bad_request");
    assert!(message.contains("env"), "{message}");
}

#[tokio::test]
async fn an_id_is_a_uuid_of_a_known_process() {
    let router = api();
    let posts = [
        ("stdin", json!({"data_b64": ""})),
        ("kill", json!({"signal": "TERM"})),
        ("resize", json!({"rows": 1, "cols": 1})),
    ];
    for (id, status, code, named) in [
        ("7", 400, "bad_request", "process_id"),
        (NOBODY, 404, "not_found", NOBODY),
    ] {
        for route in ["status", "stdout/stream", "attach"] {
            let answer = get(&router, &format!("/process/{id}/{route}")).await;
            let message = answer.assert_error(status, code);
            assert!(message.contains(named), "{route}: {message}");
        }
        for (route, body) in &posts {
            let answer = post(&router, &format!("/process/{id}/{route}"), body).await;
            let message = answer.assert_error(status, code);
            assert!(message.contains(named), "{route}: {message}");
        }
    }
}

#[tokio::test]
async fn bad_calls_of_a_process_are_refused_by_the_name_of_their_field() {
    let router = api();
    let process = spawn(&router, json!({"command": "cat"})).await;
    for (route, body, named) in [
        ("kill", json!({"signal": "FOO"}), "signal: \"FOO\""),
        ("kill", json!({"signal": "9"}), "signal: "),
        ("kill", json!({}), "signal"),
        ("kill", json!({"signal": "TERM", "force": true}), "force"),
        ("stdin", json!({"data_b64": "a b"}), "data_b64: invalid"),
        ("stdin", json!({"data_b64": 3}), "data_b64: "),
        ("stdin", json!({}), "data_b64"),
        ("stdin", json!({"data_b64": "", "eof": true}), "eof"),
        ("resize", json!({"rows": 0, "cols": 1}), "rows: "),
        ("resize", json!({"rows": 1, "cols": 70_000}), "cols: "),
        ("resize", json!({"rows": 1, "cols": 1}), "has no terminal"),
    ] {
        let answer = post(&router, &format!("{process}/{route}"), &body).await;
        let message = answer.assert_error(400, "bad_request");
        assert!(message.contains(named), "{route} {body}: {message}");
    }
    for (route, named) in [
        ("stdout/stream?last_event_id=9.0", "last_event_id: offset"),
        ("stdout/stream?last_event_id=x", "last_event_id: "),
        ("attach", "WebSocket"),
        ("attach?takeover=perhaps", "takeover: "),
    ] {
        let answer = get(&router, &format!("{process}/{route}")).await;
        let message = answer.assert_error(400, "bad_request");
        assert!(message.contains(named), "{route}: {message}");
    }
    let kill = format!("{process}/kill");
    let killed = post(&router, &kill, &json!({"signal": "SIGKILL"})).await;
    assert_eq!(killed.json(), json!({"ok": true}));
}

#[tokio::test]
async fn stdin_is_written_and_closed_and_is_gone_after_the_exit() {
    let router = api();
    let process = spawn(&router, json!({"command": "cat", "stdin_b64": "MA=="})).await;
    let body = json!({"data_b64": "aGk=", "close": true});
    let written = post(&router, &format!("{process}/stdin"), &body).await;
    assert_eq!(written.json(), json!({"written_bytes": 2}));
    let output = ended(&router, &process).await;
    assert!(output.contains("\"exit_code\":0"), "{output}");
    for (route, body, is_once) in [
        ("stdin", json!({"data_b64": "aGk="}), true),
        ("kill", json!({"signal": "HUP"}), false),
    ] {
        let answer = post(&router, &format!("{process}/{route}"), &body).await;
        let message = answer.assert_error(409, "conflict");
        assert!(message.contains("has exited"), "{message}");
        // A signal may be sent twice; bytes may not.
        assert_eq!(answer.headers.contains_key("x-should-retry"), is_once);
    }
}

#[tokio::test]
async fn a_stream_has_each_byte_with_its_offsets_and_then_the_exit() {
    let router = api();
    let script = "printf abc; sleep 0.5; printf de >&2; exit 5";
    let process = spawn(&router, json!({"command": "sh", "args": ["-c", script]})).await;
    let whole = "data: {\"stream\":\"stdout\",\"data_b64\":\"YWJj\"}\nid: 3.0\n\n\
        data: {\"stream\":\"stderr\",\"data_b64\":\"ZGU=\"}\nid: 3.2\n\n\
        data: {\"event\":\"exit\",\"exit_code\":5}\nid: 3.2.exit\n\n";
    assert_eq!(ended(&router, &process).await, whole);
    let request = Request::get(format!("{process}/stdout/stream"));
    let rest = send(router.clone(), request.header("last-event-id", "2.0")).await;
    let rest = String::from_utf8(rest.body).unwrap();
    assert_eq!(rest, whole.replacen("YWJj", "Yw==", 1));

    let status = get(&router, &format!("{process}/status")).await.json();
    let list = get(&router, "/process").await.json();
    assert_eq!(list[0]["command"], "sh");
    for told in [&status, &list[0]] {
        let ending = [&told["state"], &told["exit_code"]];
        assert_eq!(ending, [&json!("exited"), &json!(5)]);
    }
}
