//! A reader of server-sent events, as strict as the contract is about their shape.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, task::JoinSet};

/// An event.
#[derive(Debug, Clone)]
pub struct Event {
    /// By which a later stream goes on behind it.
    pub id: String,
    /// The one JSON object that it is.
    pub data: Bytes,
}

impl Event {
    /// Reads the object.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.data)
            .with_context(|| format!("no JSON: {}", String::from_utf8_lossy(&self.data)))
    }
}

/// A stream of events. Dropping it ends its connection.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    buffer: BytesMut,
    /// What this reader still takes before it breaks off.
    left: usize,
    heartbeats: usize,
    // The connection, which moves by itself.
    _connection: JoinSet<()>,
}

impl Events {
    /// Opens a stream, behind an event if one is named.
    pub async fn open(
        address: SocketAddr,
        path: &str,
        last_event_id: Option<&str>,
    ) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .context("cannot connect")?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move { drop(connection.await) });
        let mut request = Request::get(path).header(header::HOST, address.to_string());
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = sender.send_request(request.body(Empty::<Bytes>::new())?);
        let (parts, body) = response.await?.into_parts();
        if parts.status != StatusCode::OK {
            let body = body.collect().await?.to_bytes();
            bail!("{}: {}", parts.status, String::from_utf8_lossy(&body));
        }
        check_headers(&parts.headers)?;
        Ok(Self {
            body,
            buffer: BytesMut::new(),
            left: usize::MAX,
            heartbeats: 0,
            _connection: driver,
        })
    }

    /// Breaks off after so many bytes of the body, wherever that is.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.left = bytes;
        self
    }

    /// How many comment lines have come.
    #[must_use]
    pub fn heartbeats(&self) -> usize {
        self.heartbeats
    }

    /// The next event; `None` at the end of the stream, or where this reader breaks off.
    pub async fn next(&mut self) -> anyhow::Result<Option<Event>> {
        loop {
            if self.buffer.starts_with(b":\n") {
                self.heartbeats += 1;
                self.buffer.advance(2);
                continue;
            }
            if let Some(length) = end_of_event(&self.buffer) {
                let block = self.buffer.split_to(length).freeze();
                return parse(&block).map(Some);
            }
            if self.left == 0 {
                return Ok(None);
            }
            let Some(frame) = self.body.frame().await else {
                anyhow::ensure!(self.buffer.is_empty(), "the stream ends within an event");
                return Ok(None);
            };
            if let Ok(data) = frame?.into_data() {
                let taken = data.len().min(self.left);
                self.left -= taken;
                self.buffer.extend_from_slice(&data[..taken]);
            }
        }
    }
}

fn check_headers(headers: &HeaderMap) -> anyhow::Result<()> {
    for (name, wanted) in [
        ("content-type", "text/event-stream"),
        ("x-sse-content-type", "application/json"),
        ("cache-control", "no-cache, no-transform"),
        ("x-accel-buffering", "no"),
    ] {
        let is_so = headers.get(name).is_some_and(|value| value == wanted);
        anyhow::ensure!(is_so, "{name} is not {wanted}: {headers:?}");
    }
    Ok(())
}

/// The length of the first event, with the blank line behind it. No line of an event is long but
/// the first, so that the search begins behind that.
fn end_of_event(buffer: &[u8]) -> Option<usize> {
    let line = buffer.iter().position(|&byte| byte == b'\n')?;
    let rest = buffer[line..].windows(2).position(|pair| pair == b"\n\n")?;
    Some(line + rest + 2)
}

fn parse(block: &Bytes) -> anyhow::Result<Event> {
    let shape = || format!("not as agreed: {}", String::from_utf8_lossy(block));
    let data = block.strip_prefix(b"data: ").with_context(shape)?;
    let end = data.iter().position(|&byte| byte == b'\n');
    let (data, rest) = data.split_at(end.with_context(shape)?);
    let id = rest
        .strip_prefix(b"\nid: ")
        .and_then(|id| id.strip_suffix(b"\n\n"))
        .with_context(shape)?;
    Ok(Event {
        id: std::str::from_utf8(id)?.to_owned(),
        data: block.slice_ref(data),
    })
}
