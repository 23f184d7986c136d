//! The API port's own routes: health, the document and its page, errors, request ids, the log.

use std::{fs, path::Path, time::Duration};

use anyhow::Context as _;
use browserd_e2e::{Call, Cdp, Daemon, Echo, assert_eventually, http::Answer};
use http::Method;
use serde_json::{Value, json};

use crate::shared::Suite;

type Outcome = anyhow::Result<()>;

pub(crate) async fn health_and_readiness(suite: Suite) -> Outcome {
    let stack = suite.stack().await?;
    stack.at.api.get("/healthz").await?.expect(200)?;
    let readyz: Value = stack.at.api.get("/readyz").await?.expect(200)?.json()?;
    assert_eq!(readyz["ready"], true);
    for part in ["devtools", "display", "supervisor", "disk"] {
        assert_eq!(readyz["parts"][part]["ready"], true, "{part}: {readyz}");
        assert!(
            readyz["parts"][part]["detail"].is_string(),
            "{part}: {readyz}"
        );
    }
    Ok(())
}

pub(crate) async fn readiness_names_what_is_missing(_: Suite) -> Outcome {
    let daemon = Daemon::builder().start().await?;
    daemon.at.api.get("/healthz").await?.expect(200)?;
    let readyz: Value = daemon.at.api.get("/readyz").await?.expect(503)?.json()?;
    assert_eq!(readyz["ready"], false);
    for (part, ready) in [
        ("devtools", false),
        ("display", false),
        ("supervisor", false),
        ("disk", true),
    ] {
        let part = &readyz["parts"][part];
        assert_eq!(part["ready"], ready, "{readyz}");
        assert!(
            part["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty()),
            "{readyz}"
        );
    }
    Ok(())
}

pub(crate) async fn the_document_and_its_aliases(suite: Suite) -> Outcome {
    let api = &suite.stack().await?.at.api;
    for path in ["/openapi.json", "/spec.json"] {
        let answer = api.address();
        let answer = Call::get(path).send(answer).await?.expect(200)?;
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{path}"
        );
        assert_eq!(answer.json::<Value>()?, *api.spec().document(), "{path}");
    }
    let mut texts = Vec::new();
    for path in ["/openapi.yaml", "/spec.yaml"] {
        let answer = Call::get(path).send(api.address()).await?.expect(200)?;
        let kind = answer.header("content-type").unwrap_or_default().to_owned();
        assert!(kind.contains("yaml"), "{path}: {kind}");
        let document: Value = serde_norway::from_slice(&answer.body)?;
        assert_eq!(document, *api.spec().document(), "{path}");
        texts.push(answer.body);
    }
    assert_eq!(texts[0], texts[1]);
    Ok(())
}

pub(crate) async fn the_page_of_the_api_needs_no_network(suite: Suite) -> Outcome {
    let stack = suite.stack().await?;
    let mut browser = stack.at.browser().await?;
    let (target, session) = browser.open("about:blank").await?;
    for domain in ["Network", "Runtime", "Log", "Page"] {
        browser
            .call_in(Some(&session), &format!("{domain}.enable"), json!({}))
            .await?;
    }
    let url = format!("{}/docs", stack.at.api_url());
    browser
        .call_in(Some(&session), "Page.navigate", json!({ "url": url }))
        .await?;
    assert_eventually!("the page shows the operations", {
        let text = browser
            .evaluate(&session, "document.body?.innerText ?? ''")
            .await?;
        let text = text.as_str().unwrap_or_default().to_owned();
        anyhow::ensure!(
            text.contains("/healthz") && text.contains("/readyz"),
            "{text}"
        );
    });
    let events = browser.drain(Duration::from_millis(500)).await?;
    let own = format!("{}/", stack.at.api_url());
    for event in &events {
        let params = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => {
                let url = params["request"]["url"].as_str().unwrap_or_default();
                assert!(
                    url.starts_with(&own) || url.starts_with("data:"),
                    "it asks for {url}"
                );
            }
            "Network.responseReceived" => {
                let status = params["response"]["status"].as_u64();
                assert!(status.is_none_or(|status| status < 400), "{params}");
            }
            "Network.loadingFailed" | "Runtime.exceptionThrown" => panic!("{event}"),
            "Runtime.consoleAPICalled" => assert_ne!(params["type"], "error", "{params}"),
            "Log.entryAdded" => assert_ne!(params["entry"]["level"], "error", "{params}"),
            _ => {}
        }
    }
    let shot = json!({ "format": "png" });
    let shot = browser
        .call_in(Some(&session), "Page.captureScreenshot", shot)
        .await?;
    let shot = shot["data"].as_str().context("no picture")?;
    let shot = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, shot)?;
    fs::write(
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("docs.png"),
        shot,
    )?;
    browser
        .call("Target.closeTarget", json!({ "targetId": target }))
        .await?;
    Ok(())
}

pub(crate) async fn errors_have_the_one_shape(suite: Suite) -> Outcome {
    let at = &suite.stack().await?.at;
    let evil = |path: &str| Call::get(path).host("evil.example");
    let on_api = [
        (Call::get("/no/such/route"), 404, "not_found"),
        (Call::get("/"), 404, "not_found"),
        (
            Call::new(Method::POST, "/healthz"),
            405,
            "method_not_allowed",
        ),
        (
            Call::new(Method::DELETE, "/openapi.yaml"),
            405,
            "method_not_allowed",
        ),
        (evil("/healthz"), 403, "forbidden"),
    ];
    for (call, status, code) in on_api {
        is_error(&at.api.send(call).await?, status, code)?;
    }
    let on_devtools = [
        (Call::get("/no/such/route"), 404, "not_found"),
        (
            Call::new(Method::DELETE, "/json/version"),
            405,
            "method_not_allowed",
        ),
        (evil("/json/list"), 403, "forbidden"),
    ];
    for (call, status, code) in on_devtools {
        is_error(&call.send(at.devtools).await?, status, code)?;
    }
    Ok(())
}

fn is_error(answer: &Answer, status: u16, code: &str) -> Outcome {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    assert_eq!(
        answer.header("content-type"),
        Some("application/json"),
        "{}",
        answer.text()
    );
    assert_eq!(
        status == 405,
        answer.headers.contains_key("allow"),
        "{:?}",
        answer.headers
    );
    let id = answer.header("x-request-id").context("no request id")?;
    let error: Value = answer.json()?;
    assert_eq!(error["code"], code, "{error}");
    assert_eq!(error["request_id"], id, "{error}");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{error}"
    );
    Ok(())
}

/// A health check that succeeds is not logged.
pub(crate) async fn request_ids_are_taken_or_made(suite: Suite) -> Outcome {
    let stack = suite.stack().await?;
    let longest = "i".repeat(128);
    for taken in ["an-id.of:the/client~", "x", &longest] {
        let answer = stack
            .at
            .api
            .send(Call::get("/process").header("x-request-id", taken))
            .await?;
        assert_eq!(answer.header("x-request-id"), Some(taken));
        let event = assert_eventually!("it is logged", stack.journal().request(taken));
        assert_eq!(event.status(), 200);
    }
    let mut made = std::collections::BTreeSet::new();
    for bad in [
        None,
        Some(""),
        Some("two words"),
        Some(&*"i".repeat(129)),
        Some("tab\tbed"),
    ] {
        let call = Call::get("/healthz");
        let call = bad
            .into_iter()
            .fold(call, |call, bad| call.header("x-request-id", bad));
        let answer = stack.at.api.send(call).await?;
        let id = answer
            .header("x-request-id")
            .context("no request id")?
            .to_owned();
        assert_ne!(Some(&*id), bad);
        assert!(made.insert(id), "the same id twice");
    }
    Ok(())
}

pub(crate) async fn each_request_is_logged_once(suite: Suite) -> Outcome {
    let stack = suite.stack().await?;
    for (to, path, listener, status) in [
        (stack.at.api.address(), "/process", "api", 200),
        (stack.at.api.address(), "/nothing/here", "api", 404),
        (stack.at.devtools, "/json/version", "devtools", 200),
    ] {
        let id = format!("once-{listener}-{status}");
        let call = Call::get(format!("{path}?token=secret-of-the-query"));
        let call = call.header("x-request-id", &id);
        call.header("authorization", "Bearer secret-of-the-header")
            .send(to)
            .await?;
        let event = assert_eventually!("it is logged", stack.journal().request(&id));
        assert_eq!(event.text("http.method"), "GET");
        assert_eq!(event.text("http.path"), path);
        assert_eq!(event.text("listener"), listener);
        assert_eq!(event.status(), status);
        assert!(
            event.0["duration_ms"]
                .as_f64()
                .is_some_and(|duration| duration >= 0.0)
        );
        assert!(event.text("peer").starts_with("127.0.0.1"), "{event:?}");
        assert!(!event.0.to_string().contains("secret-of-the"), "{event:?}");
    }
    assert!(
        !stack.journal().text().contains("secret-of-the"),
        "a secret is logged"
    );
    Ok(())
}

pub(crate) async fn metrics_tell_of_sessions(_: Suite) -> Outcome {
    let echo = Echo::start().await?;
    let daemon = Daemon::builder()
        .env("DEVTOOLS_UPSTREAM", echo.url())
        .start()
        .await?;
    let read = async |name: &str| daemon.at.scrape().await?.value(name);
    let requests = read("browserd_http_requests_total")
        .await
        .unwrap_or_default();
    daemon.at.api.get("/healthz").await?;
    assert!(read("browserd_http_requests_total").await? >= requests + 1.0);
    let idle = read("browserd_tasks_alive").await?;
    assert!(read("browserd_cdp_sessions").await? < 0.5);
    let one = daemon.at.browser().await?;
    let two = daemon.at.browser().await?;
    assert_eventually!("two sessions are counted", {
        let sessions = read("browserd_cdp_sessions").await?;
        anyhow::ensure!((1.5..2.5).contains(&sessions), "{sessions}");
    });
    one.close().await?;
    two.close().await?;
    assert_eventually!("none is left", {
        anyhow::ensure!(read("browserd_cdp_sessions").await? < 0.5);
        anyhow::ensure!(read("browserd_tasks_alive").await? <= idle);
    });
    assert!(read("browserd_devtools_up").await? > 0.5);
    Ok(())
}

pub(crate) async fn frames_are_logged_when_asked_for_and_without_what_is_in_them(
    _: Suite,
) -> Outcome {
    let echo = Echo::start().await?;
    let daemon = Daemon::builder()
        .env("DEVTOOLS_UPSTREAM", echo.url())
        .env("LOG_CDP_MESSAGES", "true")
        .start()
        .await?;
    let mut client = Cdp::connect(&daemon.at.devtools_ws("/")).await?;
    client.send(None, "Echo.secret", json!({})).await?;
    client.event("Echo.secret").await?;
    for direction in ["to upstream", "to client"] {
        let frame = assert_eventually!("the frame is logged", {
            daemon.journal().events().into_iter().find(|event| {
                event.text("message") == "devtools frame" && event.text("direction") == direction
            })
        });
        assert_eq!(frame.number("opcode"), Some(1), "{frame:?}");
        assert!(frame.number("length").is_some_and(|length| length > 0));
    }
    assert!(!daemon.journal().text().contains("Echo.secret"));
    Ok(())
}
