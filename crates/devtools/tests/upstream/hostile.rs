//! Servers that do what Chromium does not, and the ends of browsers.

use std::time::{Duration, Instant};

use browserd_devtools::client::{Error, MAX_BODY_BYTES, OpenError, fetch, open_websocket};
use http::{Method, StatusCode};
use tokio::time::{sleep, timeout};

use crate::server::{Act, IMPATIENT, Server};
use crate::support::{PATIENCE, Watched, free_port};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

#[tokio::test]
async fn a_dead_browser_is_noticed_and_its_port_watched() {
    let browser = Server::browser("one", &[]).await;
    let port = browser.port();
    let watched = Watched::fixed(&format!("http://127.0.0.1:{port}"));
    watched.leads_to("one").await;
    drop(browser);
    let status = watched.goes_down().await;
    assert!(status.detail.contains(&port.to_string()), "{status:?}");
    let _again = Server::browser_on(port, "two", &[]).await;
    assert_eq!(watched.leads_to("two").await.generation(), 2);
}

#[tokio::test]
async fn a_suspected_browser_is_withdrawn_and_comes_back_when_it_answers() {
    let browser = Server::browser("one", &[]).await;
    let watched = Watched::fixed(&format!("ws://127.0.0.1:{}/", browser.port()));
    let endpoint = watched.up().await;
    browser.on("/json/version", Act::Hang);
    watched.suspect(&endpoint);
    assert_eq!(
        watched.current(),
        None,
        "it is withdrawn before the call returns"
    );
    sleep(Duration::from_millis(50)).await;
    assert_eq!(watched.current(), None);
    browser.is_browser("one");
    let again = watched.up().await;
    assert_eq!(again, endpoint, "the same browser keeps its number");
    // Suspicion of a browser that was replaced since says nothing about the new one.
    browser.is_browser("two");
    watched.suspect(&endpoint);
    let new = watched.leads_to("two").await;
    watched.suspect(&endpoint);
    assert_eq!(watched.current(), Some(new));
}

#[tokio::test]
async fn a_server_that_closes_idle_connections_is_not_asked_in_a_tight_loop() {
    let browser = Server::browser("one", &[]).await;
    browser.on(IMPATIENT, Act::Hang);
    let watched = Watched::fixed(&format!("http://127.0.0.1:{}", browser.port()));
    watched.up().await;
    let before = browser.requests();
    sleep(Duration::from_secs(1)).await;
    let asked = browser.requests() - before;
    assert!((2..20).contains(&asked), "asked {asked} times in a second");
    assert!(watched.status().up);
}

#[tokio::test]
async fn a_given_upstream_needs_no_proof() {
    let server = Server::silent().await;
    let watched = Watched::fixed(&format!("ws://127.0.0.1:{}/echo?x", server.port()));
    let endpoint = watched.up().await;
    assert_eq!(
        (endpoint.browser_path(), endpoint.is_proven()),
        ("/echo?x", false)
    );
    assert_eq!(server.requests(), 0, "nothing is asked of it");
    let port = server.port();
    drop(server);
    watched.suspect(&endpoint);
    watched.says("connect to").await;
    assert_eq!(watched.current(), None);
    let _again = Server::silent_on(port).await;
    watched.up().await;
}

#[tokio::test]
async fn waiting_ends_with_the_daemon() {
    let watched = Watched::fixed(&format!("http://127.0.0.1:{}", free_port()));
    let upstream = watched.stop().await;
    // So long that only the daemon's end can have ended it.
    let waiting = upstream.wait(Duration::from_secs(3600));
    let error = timeout(PATIENCE, waiting).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "no browser: the daemon stops");
}

#[tokio::test]
async fn answers_that_are_none() {
    let server = Server::browser("one", &[]).await;
    let watched = Watched::fixed(&format!("http://127.0.0.1:{}", server.port()));
    let endpoint = watched.up().await;
    for (path, bytes) in [
        ("/garbage", &b"\x16\x03\x01 this is no HTTP\r\n\r\n"[..]),
        ("/nothing", b""),
        ("/half-head", b"HTTP/1.1 200 OK\r\nContent-Le"),
        (
            "/two-lengths",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        ),
    ] {
        server.on(path, Act::SendAndClose(bytes.to_vec()));
        let error = fetch(&endpoint, Method::GET, path).await.unwrap_err();
        assert!(
            matches!(error, Error::Exchange { .. }) && error.is_gone(),
            "{path}: {error}"
        );
    }
    let short = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot so many".to_vec();
    server.on("/short", Act::SendAndClose(short));
    let error = fetch(&endpoint, Method::GET, "/short").await.unwrap_err();
    assert!(matches!(error, Error::Body { .. }), "{error}");

    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000)).into_bytes();
    server.on("/endless", Act::Flood(head, chunk));
    let error = fetch(&endpoint, Method::GET, "/endless").await.unwrap_err();
    let limit = MAX_BODY_BYTES;
    assert!(
        matches!(error, Error::TooLarge { limit_bytes, .. } if limit_bytes == limit),
        "{error}"
    );

    server.on(
        "/flood",
        Act::Flood(b"HTTP/1.1 200 OK\r\n".to_vec(), b"a: b\r\n".repeat(100)),
    );
    let error = fetch(&endpoint, Method::GET, "/flood").await.unwrap_err();
    assert!(matches!(error, Error::Exchange { .. }), "{error}");

    let error = fetch(&endpoint, Method::GET, "/a b").await.unwrap_err();
    assert!(matches!(error, Error::Path { .. }), "{error}");
}

#[tokio::test]
async fn a_refused_connection_and_a_silent_server_are_told_apart() {
    let server = Server::silent().await;
    let watched = Watched::fixed(&format!("ws://127.0.0.1:{}/x", server.port()));
    let endpoint = watched.up().await;
    let start = Instant::now();
    let error = fetch(&endpoint, Method::GET, "/").await.unwrap_err();
    assert!(
        matches!(error, Error::Timeout { .. }) && !error.is_gone(),
        "{error}"
    );
    assert!(start.elapsed() >= Duration::from_secs(9));
    drop(server);
    let error = fetch(&endpoint, Method::GET, "/").await.unwrap_err();
    assert!(
        matches!(error, Error::Connect { .. }) && error.is_gone(),
        "{error}"
    );
}

#[tokio::test]
async fn an_upgrade_is_passed_on_or_its_refusal() {
    let server = Server::silent().await;
    let watched = Watched::fixed(&format!("ws://127.0.0.1:{}/ws", server.port()));
    let endpoint = watched.up().await;
    let yes = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
               Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nahead";
    server.on("/ws", Act::Send(yes.into()));
    let opened = open_websocket(&endpoint, "/ws", KEY).await.unwrap();
    assert_eq!(opened.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert!(opened.stream.nodelay().unwrap());
    // In the same segment as the head, or behind it.
    assert!(
        b"ahead".starts_with(&opened.read_ahead[..]),
        "{:?}",
        opened.read_ahead
    );

    server.on(
        "/no",
        Act::reply("500 Internal Server Error", "No such target id: x"),
    );
    let error = open_websocket(&endpoint, "/no", KEY).await.unwrap_err();
    let OpenError::Rejected(reply) = error else {
        panic!("{error}")
    };
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(reply.body, "No such target id: x");

    let no_key = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n";
    server.on("/other", Act::Send(no_key.into()));
    let error = open_websocket(&endpoint, "/other", KEY).await.unwrap_err();
    assert!(
        matches!(error, OpenError::Failed(Error::Handshake { .. })),
        "{error}"
    );

    let error = open_websocket(&endpoint, "/ws", "a\nb").await.unwrap_err();
    assert!(matches!(error, OpenError::Failed(Error::Key)), "{error}");
}
