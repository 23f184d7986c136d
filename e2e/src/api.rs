//! The HTTP API, each exchange with which is checked against `openapi.yaml`.

use std::{net::SocketAddr, sync::Arc};

use crate::{
    http::{Answer, Call},
    openapi::Spec,
};

/// A client of one daemon's API port.
#[derive(Debug, Clone)]
pub struct Api {
    address: SocketAddr,
    spec: Arc<Spec>,
}

impl Api {
    /// A client of the API at this address.
    pub fn new(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            address,
            spec: Arc::new(Spec::load()?),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The document that answers are checked against.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Makes a request; an answer that the document does not allow is an error.
    pub async fn send(&self, call: Call) -> anyhow::Result<Answer> {
        let (method, path) = (call.method().clone(), call.path().to_owned());
        let answer = call.send(self.address).await?;
        self.spec.check(method.as_str(), &path, &answer)?;
        Ok(answer)
    }

    /// GETs a path.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Call::get(path)).await
    }
}
