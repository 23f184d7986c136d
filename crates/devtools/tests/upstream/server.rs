//! A small server that answers as Chromium does, or as told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{free_port, line};

/// Not a path: on it, the server closes connections on which nothing is asked.
pub(crate) const IMPATIENT: &str = "impatient";

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Send these bytes and wait for the client's end.
    Send(Vec<u8>),
    /// Send these bytes and close.
    SendAndClose(Vec<u8>),
    /// Send the first once and the second for ever.
    Flood(Vec<u8>, Vec<u8>),
    /// Say nothing.
    Hang,
}

impl Act {
    /// An answer with this status line and body.
    pub(crate) fn reply(status: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n");
        Self::Send(format!("{head}Content-Type: application/json\r\n\r\n{body}").into_bytes())
    }
}

/// The server; it goes with its connections when it is dropped, as a killed process does.
pub(crate) struct Server {
    port: u16,
    acts: Arc<Mutex<HashMap<String, Act>>>,
    requests: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// A browser with this id and these targets.
    pub(crate) async fn browser(id: &str, targets: &[&str]) -> Self {
        Self::browser_on(free_port(), id, targets).await
    }

    pub(crate) async fn browser_on(port: u16, id: &str, targets: &[&str]) -> Self {
        let server = Self::silent_on(port).await;
        server.is_browser(id);
        server.lists(targets);
        server
    }

    /// A server that takes connections and answers nothing yet.
    pub(crate) async fn silent() -> Self {
        Self::silent_on(free_port()).await
    }

    pub(crate) async fn silent_on(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let acts = Arc::new(Mutex::new(HashMap::new()));
        let requests = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&acts), Arc::clone(&requests)));
        Self {
            port,
            acts,
            requests,
            _tasks: tasks,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn line(&self) -> String {
        line(self.port)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Acquire)
    }

    /// From now on, do this for a path.
    pub(crate) fn on(&self, path: &str, act: Act) {
        self.acts.lock().unwrap().insert(path.to_owned(), act);
    }

    pub(crate) fn is_browser(&self, id: &str) {
        let url = format!("ws://127.0.0.1:{}/devtools/browser/{id}", self.port);
        let body = format!("{{\"Browser\": \"Test/1\", \"webSocketDebuggerUrl\": \"{url}\"}}");
        self.on("/json/version", Act::reply("200 OK", &body));
    }

    pub(crate) fn lists(&self, pages: &[&str]) {
        let pages: Vec<_> = pages
            .iter()
            .map(|id| format!("{{\"id\": \"{id}\", \"type\": \"page\"}}"))
            .collect();
        let body = format!("[{}]", pages.join(","));
        self.on("/json/list?for_tab", Act::reply("200 OK", &body));
    }
}

async fn serve(
    listener: TcpListener,
    acts: Arc<Mutex<HashMap<String, Act>>>,
    requests: Arc<AtomicUsize>,
) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(converse(stream, Arc::clone(&acts), Arc::clone(&requests)));
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(
    mut stream: TcpStream,
    acts: Arc<Mutex<HashMap<String, Act>>>,
    requests: Arc<AtomicUsize>,
) {
    if acts.lock().unwrap().contains_key(IMPATIENT) {
        let asked = timeout(Duration::from_millis(5), stream.peek(&mut [0])).await;
        if asked.is_err() {
            return;
        }
    }
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read(&mut byte).await, Ok(1)) {
            return;
        }
        head.push(byte[0]);
    }
    requests.fetch_add(1, Ordering::AcqRel);
    let head = String::from_utf8(head).unwrap();
    let port = stream.local_addr().unwrap().port();
    assert!(
        head.contains(&format!("host: 127.0.0.1:{port}\r\n")),
        "{head}"
    );
    assert!(!head.to_lowercase().contains("\r\norigin:"), "{head}");
    let path = head.split(' ').nth(1).unwrap();
    let act = acts.lock().unwrap().get(path).cloned().unwrap_or(Act::Hang);
    match act {
        Act::Send(bytes) => {
            let _ = stream.write_all(&bytes).await;
        }
        Act::SendAndClose(bytes) => {
            let _ = stream.write_all(&bytes).await;
            return;
        }
        Act::Flood(first, rest) => {
            let _ = stream.write_all(&first).await;
            while stream.write_all(&rest).await.is_ok() {}
        }
        Act::Hang => {}
    }
    let _ = stream.read(&mut byte).await;
}
