//! A DevTools client that hides nothing: one WebSocket, requests and what comes back.

use std::{collections::VecDeque, time::Duration};

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{
        Message, client::IntoClientRequest as _, handshake::client::Response,
        protocol::WebSocketConfig,
    },
};

use crate::settings;

/// How long an answer may take on a quiet machine.
const LIMIT: Duration = Duration::from_secs(30);
/// Events kept for later; more than a test reads.
const KEPT_EVENTS: usize = 10_000;

/// A connection to a browser or a target.
#[derive(Debug)]
pub struct Cdp {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u64,
    events: VecDeque<Value>,
    limit: Duration,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The close code; 1006, as in browsers, where there was no close frame.
    pub code: u16,
    /// The reason given.
    pub reason: String,
}

impl Cdp {
    /// Connects to a `ws://` URL.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        Self::connect_with(url, &[]).await.map(|(cdp, _)| cdp)
    }

    /// Connects with more headers, and hands out the handshake's answer too.
    pub async fn connect_with(
        url: &str,
        headers: &[(&'static str, &str)],
    ) -> anyhow::Result<(Self, Response)> {
        let mut request = url.into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse()?);
        }
        // Chromium's messages are limited by nothing here.
        let config = WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None);
        let connect = tokio_tungstenite::connect_async_with_config(request, Some(config), true);
        let limit = settings::patience(LIMIT);
        let connected = tokio::time::timeout(limit, connect).await;
        let connected = connected.with_context(|| format!("{url}: no handshake in {limit:?}"))?;
        let (socket, response) = connected.with_context(|| format!("cannot connect to {url}"))?;
        Ok((
            Self {
                socket,
                last_id: 0,
                events: VecDeque::new(),
                limit: LIMIT,
            },
            response,
        ))
    }

    /// Sets how long an answer or an event may take on a quiet machine, for messages of many
    /// megabytes.
    pub fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Calls a method of the endpoint itself.
    pub async fn call(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.call_in(None, method, params).await
    }

    /// Calls a method within an attached session.
    pub async fn call_in(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> anyhow::Result<Value> {
        let id = self.send(session, method, params).await?;
        let limit = settings::patience(self.limit);
        let answer = tokio::time::timeout(limit, self.answer(id)).await;
        let mut answer = answer.with_context(|| format!("{method}: no answer in {limit:?}"))??;
        if let Some(error) = answer.get("error") {
            bail!("{method}: {error}");
        }
        Ok(answer["result"].take())
    }

    /// Sends a request without waiting; returns its id.
    pub async fn send(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> anyhow::Result<u64> {
        self.last_id += 1;
        let mut request = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(session) = session {
            request["sessionId"] = session.into();
        }
        self.socket
            .send(Message::text(request.to_string()))
            .await
            .context(method.to_owned())?;
        Ok(self.last_id)
    }

    /// Waits for the answer to a request, keeping the events before it.
    pub async fn answer(&mut self, id: u64) -> anyhow::Result<Value> {
        loop {
            let message = self.message().await?;
            if message["id"] == id {
                return Ok(message);
            }
            if self.events.len() < KEPT_EVENTS {
                self.events.push_back(message);
            }
        }
    }

    /// Waits for an event of this name, wherever it came from.
    pub async fn event(&mut self, method: &str) -> anyhow::Result<Value> {
        let kept = self
            .events
            .iter()
            .position(|event| event["method"] == method);
        if let Some(event) = kept.and_then(|index| self.events.remove(index)) {
            return Ok(event);
        }
        let limit = settings::patience(self.limit);
        let wait = async {
            loop {
                let message = self.message().await?;
                if message["method"] == method {
                    return Ok(message);
                }
            }
        };
        tokio::time::timeout(limit, wait)
            .await
            .with_context(|| format!("no {method} event"))?
    }

    /// Hands out all events up to now, which is once nothing came for the time given.
    pub async fn drain(&mut self, quiet: Duration) -> anyhow::Result<Vec<Value>> {
        let mut events: Vec<Value> = self.events.drain(..).collect();
        while let Ok(message) = tokio::time::timeout(quiet, self.message()).await {
            events.push(message?);
        }
        Ok(events)
    }

    /// Attaches to a target, so that [`Cdp::call_in`] reaches it; returns the session.
    pub async fn attach(&mut self, target: &str) -> anyhow::Result<String> {
        let params = json!({ "targetId": target, "flatten": true });
        let result = self.call("Target.attachToTarget", params).await?;
        Ok(result["sessionId"]
            .as_str()
            .context("no session")?
            .to_owned())
    }

    /// Opens a page and attaches to it; returns its target and session.
    pub async fn open(&mut self, url: &str) -> anyhow::Result<(String, String)> {
        let result = self
            .call("Target.createTarget", json!({ "url": url }))
            .await?;
        let target = result["targetId"].as_str().context("no target")?.to_owned();
        let session = self.attach(&target).await?;
        Ok((target, session))
    }

    /// Evaluates an expression, a promise's outcome included.
    pub async fn evaluate(&mut self, session: &str, expression: &str) -> anyhow::Result<Value> {
        let params =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut result = self
            .call_in(Some(session), "Runtime.evaluate", params)
            .await?;
        if let Some(details) = result.get("exceptionDetails") {
            bail!("{expression}: {details}");
        }
        Ok(result["result"]["value"].take())
    }

    /// Waits for the end of the connection, dropping what comes before it.
    pub async fn ended(&mut self, limit: Duration) -> anyhow::Result<Ending> {
        let limit = settings::patience(limit);
        let end = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(Some(frame)))) => {
                        return Ending {
                            code: frame.code.into(),
                            reason: frame.reason.to_string(),
                        };
                    }
                    Some(Ok(Message::Close(None))) => {
                        return Ending {
                            code: 1005,
                            reason: String::new(),
                        };
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => {
                        return Ending {
                            code: 1006,
                            reason: error.to_string(),
                        };
                    }
                    None => {
                        return Ending {
                            code: 1006,
                            reason: "end of stream".to_owned(),
                        };
                    }
                }
            }
        };
        tokio::time::timeout(limit, end)
            .await
            .with_context(|| format!("still open after {limit:?}"))
    }

    /// Says goodbye and waits until the other side has done so too.
    pub async fn close(mut self) -> anyhow::Result<Ending> {
        self.socket.close(None).await?;
        self.ended(LIMIT).await
    }

    /// Gives the socket away, for what this client does not do.
    #[must_use]
    pub fn into_inner(self) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
        self.socket
    }

    async fn message(&mut self) -> anyhow::Result<Value> {
        loop {
            match self.socket.next().await.context("the connection ended")?? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Close(frame) => bail!("closed by the other side: {frame:?}"),
                _ => {}
            }
        }
    }
}
