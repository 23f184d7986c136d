//! A small web site on this machine, for pages that tests look at or misbehave from.

mod pages;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A web site on a free port, with pages of its own and those that the test adds.
#[derive(Debug)]
pub struct Site {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

#[derive(Debug, Default)]
struct Shared {
    pages: Mutex<BTreeMap<String, Page>>,
    visits: Mutex<Vec<Visit>>,
}

/// What is served at a path.
#[derive(Debug, Clone)]
struct Page {
    content_type: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Bytes,
}

/// A request that the site has got.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Its method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// Its `Cookie` header; empty without one.
    pub cookie: String,
    /// Its body.
    pub body: Bytes,
}

impl Site {
    /// Starts one.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("no port")?;
        let address = listener.local_addr()?;
        let (shared, stop) = (Arc::new(Shared::default()), CancellationToken::new());
        pages::add_all(&shared);
        let serve = serve(listener, Arc::clone(&shared));
        let stopped = stop.clone();
        TaskTracker::new().spawn(async move { stopped.run_until_cancelled(serve).await });
        Ok(Self {
            address,
            shared,
            stop,
        })
    }

    /// The port it is at.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Adds an HTML page, or replaces one.
    pub fn add(&self, path: &str, html: impl Into<Bytes>) {
        self.shared.add(path, "text/html; charset=utf-8", &[], html);
    }

    /// The requests so far, in order.
    #[must_use]
    pub fn visits(&self) -> Vec<Visit> {
        self.shared
            .visits
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    fn add(
        &self,
        path: &str,
        content_type: &'static str,
        headers: &[(&'static str, &'static str)],
        body: impl Into<Bytes>,
    ) {
        let page = Page {
            content_type,
            headers: headers.to_vec(),
            body: body.into(),
        };
        self.pages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.to_owned(), page);
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        let path = parts.uri.path().to_owned();
        let cookie = parts
            .headers
            .get(header::COOKIE)
            .and_then(|value| value.to_str().ok());
        let visit = Visit {
            method: parts.method.to_string(),
            path: path.clone(),
            cookie: cookie.unwrap_or_default().to_owned(),
            body: body.unwrap_or_default(),
        };
        let echoed = visit.clone();
        self.visits
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(visit);
        let page = self
            .pages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&path)
            .cloned();
        let mut response = Response::new(Full::default());
        if let Some(page) = page {
            set(&mut response, "content-type", page.content_type);
            for (name, value) in page.headers {
                set(&mut response, name, value);
            }
            *response.body_mut() = Full::new(page.body);
        } else if path == "/echo" {
            set(&mut response, "content-type", "text/plain; charset=utf-8");
            let text = format!("{} bytes\ncookie: {}", echoed.body.len(), echoed.cookie);
            *response.body_mut() = Full::from(text);
        } else {
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
        response
    }
}

fn set(response: &mut Response<Full<Bytes>>, name: &'static str, value: &'static str) {
    response
        .headers_mut()
        .insert(name, header::HeaderValue::from_static(value));
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Dropping the set ends the connections with the listener.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = service_fn(|request| async {
                        Ok::<_, Infallible>(shared.answer(request).await)
                    });
                    let io = TokioIo::new(stream);
                    // A browser breaks connections off as it likes.
                    drop(hyper::server::conn::http1::Builder::new()
                        .serve_connection(io, service)
                        .await);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
