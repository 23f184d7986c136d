//! One HTTP request over a connection of its own, with any header that the test likes.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::settings;

/// How long an answer may take on a quiet machine.
const LIMIT: Duration = Duration::from_secs(30);

/// A request about to be made.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    target: String,
    host: Option<String>,
    headers: HeaderMap,
    body: Bytes,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Call {
    /// A request for a path, which may have a query.
    pub fn new(method: Method, target: impl Into<String>) -> Self {
        Self {
            method,
            target: target.into(),
            host: None,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// A GET.
    pub fn get(target: impl Into<String>) -> Self {
        Self::new(Method::GET, target)
    }

    /// Names another host than the address called.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Adds a header.
    ///
    /// # Panics
    ///
    /// When the value cannot be one.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header value in a test");
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    /// Gives it a body.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Makes the request.
    pub async fn send(self, to: SocketAddr) -> anyhow::Result<Answer> {
        let what = format!("{} http://{to}{}", self.method, self.target);
        let limit = settings::patience(LIMIT);
        let answer = tokio::time::timeout(limit, self.exchange(to)).await;
        answer
            .with_context(|| format!("{what}: no answer in {limit:?}"))?
            .context(what)
    }

    async fn exchange(self, to: SocketAddr) -> anyhow::Result<Answer> {
        let stream = TcpStream::connect(to).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut request = http::Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.target.parse()?;
        *request.headers_mut() = self.headers;
        let host = self.host.unwrap_or_else(|| to.to_string());
        request.headers_mut().insert(header::HOST, host.parse()?);
        request
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
        let exchange = async {
            let (parts, body) = sender.send_request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Answer {
                status: parts.status,
                headers: parts.headers,
                body,
            })
        };
        // The connection moves only while it is polled; its own end is told by the exchange.
        let driven = async {
            drop(connection.await);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = exchange => answer,
            () = driven => unreachable!("it never ends"),
        }
    }
}

impl Answer {
    /// Reads the body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("no JSON as expected: {} {}", self.status, self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value, where it is there and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Hands the answer on if it has this status.
    pub fn expect(self, status: u16) -> anyhow::Result<Self> {
        anyhow::ensure!(
            self.status.as_u16() == status,
            "expected {status}, got {}: {}",
            self.status,
            self.text()
        );
        Ok(self)
    }
}
