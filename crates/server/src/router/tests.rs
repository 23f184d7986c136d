//! The routers in process: what every route shares. e2e drives the same over real sockets.

mod computer;
mod files;
mod process;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::{Router, body::Body, http::Request};
use browserd_devtools::upstream::{self, Source};
use browserd_files::Files;
use browserd_process::Environment;
use browserd_ws::relay;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{
    app::{App, Config, Domains},
    listener::{Limits, Peer},
    middleware::caller::Rules,
    router,
};

/// A port that nothing listens on: the discard service's, below the ephemeral range.
const NOBODY: &str = "http://127.0.0.1:9";

fn app(rules: Rules) -> App {
    let source = Source::Fixed(NOBODY.parse().unwrap());
    // Without its task the upstream stays unknown, which is what these tests need.
    let (upstream, _never_run) = upstream::spawn(source, CancellationToken::new());
    let bounds = browserd_process::Config::new(Environment::default());
    // Nor are orphans reaped, of which these tests make none.
    let (process, _never_run) = browserd_process::start(bounds, CancellationToken::new()).unwrap();
    // A display that is not there.
    let display = browserd_display::Display::new(65_000);
    let backend = browserd_display::input::Backend::Auto;
    let (desktop, run) =
        browserd_display::Desktop::spawn(display, backend, &CancellationToken::new()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(run);
    let domains = Domains {
        upstream,
        process,
        files: Files::new(browserd_files::Config::new(std::env::temp_dir())),
        desktop: Some(desktop),
        supervisor: browserd_supervisor::Client::new("/nonexistent/supervisor.sock"),
        pools: crate::Pools {
            logs: browserd_blocking::Pool::new("logs", browserd_blocking::Limits::default()),
            readiness: browserd_blocking::Pool::new(
                "readiness",
                browserd_blocking::Limits::default(),
            ),
        },
    };
    let config = Config {
        limits: Limits {
            connections: 16,
            header_timeout: Duration::from_secs(10),
            peer_timeout: Duration::from_secs(180),
            json_body_bytes: 8 << 20,
        },
        rules,
        devtools_wait: Duration::from_millis(50),
        part_wait: Duration::from_millis(50),
        relay: relay::Options::default(),
        data_dir: std::env::temp_dir().join("not-yet-made/profile"),
    };
    App::new(config, domains)
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    #[track_caller]
    fn assert_error(&self, status: u16, code: &str) -> String {
        assert_eq!(
            self.status.as_u16(),
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        assert_eq!(self.headers["content-type"], "application/json");
        let body = self.json();
        assert_eq!(body["code"], code);
        assert_eq!(
            body["request_id"],
            self.headers["x-request-id"].to_str().unwrap()
        );
        body["message"].as_str().expect("a message").to_owned()
    }
}

async fn send(router: Router, request: http::request::Builder) -> Answer {
    send_with(router, request, Body::empty()).await
}

async fn send_with(router: Router, request: http::request::Builder, body: Body) -> Answer {
    let mut request = request.body(body).unwrap();
    if !request.headers().contains_key("host") {
        request
            .headers_mut()
            .insert("host", "127.0.0.1".parse().unwrap());
    }
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 40_000);
    request.extensions_mut().insert(Peer {
        listener: "test",
        address,
        own_machine: true,
    });
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    }
}

async fn get(path: &str) -> Answer {
    send(router::api(&app(Rules::default())), Request::get(path)).await
}

#[tokio::test]
async fn health_is_answered_without_any_part() {
    let answer = get("/healthz").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["status"], "ok");
}

#[tokio::test]
async fn readiness_names_each_missing_part() {
    let answer = get("/readyz").await;
    assert_eq!(answer.status, 503);
    let body = answer.json();
    assert_eq!(body["ready"], false);
    for part in ["devtools", "display", "supervisor"] {
        assert_eq!(body["parts"][part]["ready"], false, "{part}");
        assert_ne!(body["parts"][part]["detail"], "", "{part}");
    }
    assert_eq!(body["parts"]["disk"]["ready"], true);
}

#[tokio::test]
async fn readiness_says_no_while_draining() {
    let app = app(Rules::default());
    app.begin_draining();
    let answer = send(router::api(&app), Request::get("/readyz")).await;
    assert_eq!(answer.status, 503);
}

#[tokio::test]
async fn unknown_routes_and_wrong_methods_have_the_error_body() {
    let message = get("/nowhere?secret=1")
        .await
        .assert_error(404, "not_found");
    assert_eq!(message, "there is no route /nowhere");
    let answer = send(
        router::api(&app(Rules::default())),
        Request::delete("/healthz"),
    )
    .await;
    let message = answer.assert_error(405, "method_not_allowed");
    assert_eq!(message, "/healthz does not take DELETE; it takes GET, HEAD");
    assert_eq!(answer.headers["allow"], "GET,HEAD");
}

#[tokio::test]
async fn a_given_request_id_is_kept() {
    let router = router::api(&app(Rules::default()));
    let answer = send(
        router,
        Request::get("/nowhere").header("x-request-id", "mine-1"),
    )
    .await;
    answer.assert_error(404, "not_found");
    assert_eq!(answer.headers["x-request-id"], "mine-1");
}

#[tokio::test]
async fn a_refused_caller_gets_the_error_body_on_every_port() {
    let app = app(Rules::default());
    for router in [
        router::api(&app),
        router::devtools(&app),
        router::metrics(&app),
    ] {
        for path in ["/", "/healthz", "/json/version", "/metrics", "/nowhere"] {
            let request = Request::get(path).header("origin", "https://evil.example");
            let message = send(router.clone(), request)
                .await
                .assert_error(403, "forbidden");
            assert!(message.contains("ALLOWED_ORIGINS"), "{message}");
        }
    }
    let request = Request::get("/healthz").header("host", "rebound.example.com");
    send(router::api(&app), request)
        .await
        .assert_error(403, "forbidden");
}

#[tokio::test]
async fn a_configured_origin_gets_cors_answers() {
    let origin = "https://app.example.com";
    let rules = Rules {
        allowed_origins: vec![origin.parse().unwrap()],
        allowed_hosts: Vec::new(),
    };
    let router = router::api(&app(rules));
    let preflight = Request::options("/healthz")
        .header("origin", origin)
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "content-type");
    let answer = send(router.clone(), preflight).await;
    assert!(answer.status.is_success(), "{}", answer.status);
    assert_eq!(answer.headers["access-control-allow-origin"], origin);
    assert_eq!(answer.headers["access-control-allow-methods"], "PUT");
    assert_eq!(
        answer.headers["access-control-allow-headers"],
        "content-type"
    );

    let answer = send(
        router.clone(),
        Request::get("/healthz").header("origin", origin),
    )
    .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["access-control-allow-origin"], origin);

    let other = Request::options("/healthz").header("origin", "https://other.example");
    send(router, other).await.assert_error(403, "forbidden");
}

#[tokio::test]
async fn without_configured_origins_nothing_answers_a_preflight() {
    let router = router::api(&app(Rules::default()));
    send(router, Request::options("/healthz"))
        .await
        .assert_error(405, "method_not_allowed");
}

#[tokio::test]
async fn the_document_is_served_in_both_notations_under_both_names() {
    for path in ["/openapi.yaml", "/spec.yaml"] {
        let answer = get(path).await;
        assert_eq!(answer.headers["content-type"], "application/yaml");
        assert_eq!(
            String::from_utf8(answer.body).unwrap(),
            crate::openapi_yaml(),
            "{path}"
        );
    }
    for path in ["/openapi.json", "/spec.json"] {
        let answer = get(path).await;
        assert_eq!(answer.headers["content-type"], "application/json");
        assert!(
            answer.json()["paths"]["/healthz"]["get"].is_object(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_page_takes_nothing_from_elsewhere() {
    let answer = get("/docs/").await;
    assert_eq!(answer.status, 200);
    let policy = answer.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self'"), "{policy}");
    let page = String::from_utf8(answer.body).unwrap();
    assert!(page.contains("swagger-ui"), "{page}");
    assert!(
        !page.contains("src=\"http") && !page.contains("href=\"http"),
        "{page}"
    );
}

#[tokio::test]
async fn a_missing_file_of_the_page_is_told() {
    let answer = get("/docs/nothing").await;
    answer.assert_error(404, "not_found");
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let app = app(Rules::default());
    let answer = send(router::metrics(&app), Request::get("/metrics")).await;
    assert_eq!(answer.status, 200);
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.contains("browserd_devtools_up 0"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[tokio::test]
async fn devtools_requests_are_told_that_chromium_is_away() {
    let app = app(Rules::default());
    let answer = send(router::devtools(&app), Request::get("/json/version")).await;
    answer.assert_error(503, "upstream_unavailable");
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_request_that_its_client_gave_up_is_counted() {
    let app = app(Rules::default());
    let waiting = send(router::devtools(&app), Request::get("/json/version"));
    let given_up = tokio::time::timeout(Duration::from_millis(5), waiting).await;
    assert!(
        given_up.is_err(),
        "it was answered before it could be given up"
    );
    let text = app.metrics.render(false, 0, &app.pools()).unwrap();
    let counted = r#"method="GET",route="/json/{*rest}",status="499"} 1"#;
    assert!(text.contains(counted), "{text}");
}

#[tokio::test]
async fn the_devtools_port_has_no_other_pages() {
    let app = app(Rules::default());
    for path in ["/", "/devtools/inspector.html", "/json/nothing"] {
        send(router::devtools(&app), Request::get(path))
            .await
            .assert_error(404, "not_found");
    }
    // Chromium itself lets GET open a tab only behind a warning; here it never does.
    let answer = send(
        router::devtools(&app),
        Request::get("/json/new?about:blank"),
    )
    .await;
    answer.assert_error(405, "method_not_allowed");
}

#[test]
fn the_committed_document_is_the_generated_one() {
    let committed = include_str!("../../../../openapi.yaml");
    assert_eq!(committed, crate::openapi_yaml(), "run `make openapi`");
}
