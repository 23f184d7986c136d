//! A real Chromium: found, asked, stopped, killed and started again.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use browserd_devtools::client::{OpenError, Opened, fetch, open_websocket};
use browserd_devtools::discovery::{Route, request};
use browserd_devtools::upstream::quit;
use browserd_devtools::{Endpoint, Peer};
use browserd_ws::Close;
use futures_util::{SinkExt, StreamExt};
use http::{Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

use crate::support::{PATIENCE, Watched, free_port, scratch};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

struct Chromium {
    child: Child,
}

impl Chromium {
    fn start(port: u16, profile: &Path, log: &Path) -> Self {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let child = Command::new("/usr/bin/chromium")
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .arg(format!("--remote-debugging-port={port}"))
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { child }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// A scratch directory, the log in it, and a port.
struct Place {
    dir: TempDir,
    log: PathBuf,
    port: u16,
}

impl Place {
    fn new() -> Self {
        let (dir, log) = scratch();
        Self {
            dir,
            log,
            port: free_port(),
        }
    }

    fn start(&self) -> Chromium {
        Chromium::start(self.port, &self.dir.path().join("profile"), &self.log)
    }
}

async fn json(endpoint: &Endpoint, method: Method, path: &str) -> Value {
    let reply = fetch(endpoint, method, path).await.unwrap();
    assert_eq!(reply.status, StatusCode::OK, "{path}: {reply:?}");
    serde_json::from_slice(&reply.body).unwrap()
}

async fn websocket(endpoint: &Endpoint, path: &str) -> WebSocketStream<TcpStream> {
    let Opened {
        stream,
        read_ahead,
        accept,
    } = open_websocket(endpoint, path, KEY).await.unwrap();
    // The answer to this key by RFC 6455, section 1.3.
    assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let ahead = read_ahead.to_vec();
    WebSocketStream::from_partially_read(stream, ahead, Role::Client, None).await
}

/// Read until the session's end.
async fn end(websocket: &mut WebSocketStream<TcpStream>) {
    let ended = async { while let Some(Ok(_)) = websocket.next().await {} };
    timeout(PATIENCE, ended).await.expect("the session ends");
}

#[tokio::test]
async fn discovery_and_sessions() {
    let place = Place::new();
    let watched = Watched::log(&place.log);
    let _chromium = place.start();
    let endpoint = watched.up().await;
    assert_eq!(endpoint.peer().port(), place.port);

    let version = json(&endpoint, Method::GET, "/json/version").await;
    let url = version["webSocketDebuggerUrl"].as_str().unwrap();
    assert_eq!(url, endpoint.to_string());
    assert!(json(&endpoint, Method::GET, "/json/protocol").await["domains"].is_array());

    // The URL arrives decoded once, the rest of the query does not arrive.
    let asked = request("/json/new", Some("data:text/plain,a%26b%2520c%3Fx=1&jwt=x")).unwrap();
    let page = json(&endpoint, asked.method, &asked.path_and_query).await;
    assert_eq!(page["url"], "data:text/plain,a&b%20c?x=1");
    let id = page["id"].as_str().unwrap();

    let mut browser = websocket(&endpoint, &Route::Browser.path(&endpoint)).await;
    browser
        .send(Message::text(r#"{"id":1,"method":"Browser.getVersion"}"#))
        .await
        .unwrap();
    let answer = timeout(PATIENCE, browser.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(
        answer.to_text().unwrap().contains("\"product\""),
        "{answer}"
    );

    let error = open_websocket(&endpoint, "/devtools/page/none", KEY)
        .await
        .unwrap_err();
    let OpenError::Rejected(reply) = error else {
        panic!("{error}")
    };
    assert_eq!(reply.body, "No such target id: none");

    // A page of any kind name, closed under its session.
    let route = Route::of(&format!("/prefix/devtools/worker/{id}/"));
    let mut session = websocket(&endpoint, &route.path(&endpoint)).await;
    let asked = request(&format!("/json/close/{id}/"), Some("jwt=x")).unwrap();
    let reply = fetch(&endpoint, asked.method, &asked.path_and_query)
        .await
        .unwrap();
    assert_eq!(reply.status, StatusCode::OK);
    end(&mut session).await;
    assert_eq!(
        watched.verdict(&endpoint, Some(id)).await,
        Close::TARGET_CLOSED
    );

    // A binary frame ends a session of a browser that lives on.
    browser.send(Message::binary(b"x".to_vec())).await.unwrap();
    end(&mut browser).await;
    assert_eq!(watched.verdict(&endpoint, None).await, Close::UPSTREAM_LOST);
    assert_eq!(watched.current(), Some(endpoint));
}

#[tokio::test]
async fn killed_and_started_again() {
    let place = Place::new();
    let watched = Watched::log(&place.log);
    for generation in 1..=3 {
        let chromium = place.start();
        let endpoint = watched.up().await;
        assert_eq!(endpoint.generation(), generation);
        let mut session = websocket(&endpoint, endpoint.browser_path()).await;
        chromium.kill().await;
        end(&mut session).await;
        assert_eq!(
            watched.verdict(&endpoint, None).await,
            Close::BROWSER_RESTARTED
        );
        assert_eq!(watched.current(), None);
    }
}

#[tokio::test]
async fn ended_in_order() {
    for page_level in [false, true] {
        let place = Place::new();
        let watched = Watched::log(&place.log);
        let chromium = place.start();
        let endpoint = watched.up().await;
        let list = json(&endpoint, Method::GET, "/json/list").await;
        let page = list
            .as_array()
            .unwrap()
            .iter()
            .find(|target| target["type"] == "page");
        let page = page.unwrap()["id"].as_str().unwrap();
        let (path, target) = if page_level {
            (format!("/devtools/page/{page}"), Some(page))
        } else {
            (endpoint.browser_path().to_owned(), None)
        };
        let mut session = websocket(&endpoint, &path).await;
        chromium.signal(Signal::TERM);
        end(&mut session).await;
        let close = watched.verdict(&endpoint, target).await;
        assert_eq!(close, Close::BROWSER_RESTARTED, "page level: {page_level}");
        chromium.kill().await;
    }
}

#[tokio::test]
async fn stopped_and_continued() {
    let place = Place::new();
    let watched = Watched::log(&place.log);
    let chromium = place.start();
    let endpoint = watched.up().await;
    chromium.signal(Signal::STOP);
    let verdict = timeout(PATIENCE, watched.verdict(&endpoint, None)).await;
    assert_eq!(verdict.unwrap(), Close::UPSTREAM_LOST);
    watched.suspect(&endpoint);
    watched.says("did not answer within").await;
    assert_eq!(watched.current(), None);
    chromium.signal(Signal::CONT);
    assert_eq!(watched.up().await, endpoint);
}

#[tokio::test]
async fn one_that_is_asked_to_quit_ends_by_itself() {
    let place = Place::new();
    let watched = Watched::log(&place.log);
    let mut chromium = place.start();
    let first = watched.up().await;
    let peer = Peer::new("127.0.0.1", place.port);
    timeout(PATIENCE, quit(&peer)).await.unwrap().unwrap();
    let ended = timeout(PATIENCE, chromium.child.wait()).await.unwrap();
    assert!(ended.unwrap().success(), "it was not ended by force");
    watched.eventually(|| watched.current().is_none()).await;

    let limit = Duration::from_millis(50);
    assert!(watched.wait_past(first.generation(), limit).await.is_err());
    let _second = place.start();
    watched
        .wait_past(first.generation(), PATIENCE)
        .await
        .unwrap();
}
