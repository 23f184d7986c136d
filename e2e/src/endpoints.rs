//! Where one daemon is reached.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use serde_json::Value;

use crate::{Api, Call, Cdp, http::Answer, metrics::Metrics, patience, ports::Block};

/// The three ports of a daemon, and how to call them.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// The HTTP API.
    pub api: Api,
    /// The DevTools proxy.
    pub devtools: SocketAddr,
    /// The Prometheus metrics.
    pub metrics: SocketAddr,
}

impl Endpoints {
    pub(crate) fn of(block: &Block) -> anyhow::Result<Self> {
        let local = |index| SocketAddr::from((Ipv4Addr::LOCALHOST, block.port(index)));
        Ok(Self {
            api: Api::new(local(0))?,
            metrics: local(1),
            devtools: local(2),
        })
    }

    /// The variables that put a daemon onto these ports.
    pub(crate) fn variables(&self) -> [(String, String); 3] {
        [
            ("PORT", self.api.address().port()),
            ("METRICS_PORT", self.metrics.port()),
            ("DEVTOOLS_PROXY_PORT", self.devtools.port()),
        ]
        .map(|(name, port)| (name.to_owned(), port.to_string()))
    }

    /// `http://127.0.0.1:<port>` of the API.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://{}", self.api.address())
    }

    /// `http://127.0.0.1:<port>` of the DevTools proxy.
    #[must_use]
    pub fn devtools_url(&self) -> String {
        format!("http://{}", self.devtools)
    }

    /// A WebSocket URL at the DevTools proxy.
    #[must_use]
    pub fn devtools_ws(&self, path: &str) -> String {
        format!("ws://{}{path}", self.devtools)
    }

    /// Connects to the browser through the proxy.
    pub async fn browser(&self) -> anyhow::Result<Cdp> {
        Cdp::connect(&self.devtools_ws("/")).await
    }

    /// GETs a path of the DevTools proxy.
    pub async fn discover(&self, path: &str) -> anyhow::Result<Answer> {
        Call::get(path).send(self.devtools).await
    }

    /// The targets, as `/json/list` tells them.
    pub async fn targets(&self) -> anyhow::Result<Vec<Value>> {
        self.discover("/json/list").await?.expect(200)?.json()
    }

    /// Reads the metrics.
    pub async fn scrape(&self) -> anyhow::Result<Metrics> {
        Metrics::read(self.metrics).await
    }

    /// Waits until every part is ready.
    pub async fn ready(&self, limit: Duration) -> anyhow::Result<()> {
        let ready = async || self.api.get("/readyz").await?.expect(200).map(drop);
        patience::until(limit, ready).await
    }
}
