//! Asking the browser that is there now, and the next one when it turns out to be gone.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::Endpoint;
use crate::client::{self, OpenError, Opened, Reply};
use crate::discovery::{Request, Route};
use crate::upstream::{Unavailable, Upstream};

/// Why no browser answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There was none in time.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// There was one, and it gave no answer.
    #[error(transparent)]
    Client(#[from] client::Error),
}

/// What a browser made of a WebSocket's opening handshake.
#[derive(Debug)]
pub enum Answer {
    /// It is open.
    Opened(Opened),
    /// It is refused, for example because there is no such target. This is for the client.
    Rejected(Reply),
}

impl Upstream {
    /// Asks for a discovery document, waiting at most `limit` for a browser to ask.
    ///
    /// # Errors
    ///
    /// No browser in time, or one that gave no answer. What changes something is not asked
    /// again once a browser may have taken it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection. Chromium may have acted on the request.
    pub async fn fetch(&self, request: &Request, limit: Duration) -> Result<Reply, Error> {
        let again = |error: &client::Error| match error {
            client::Error::Connect { .. } => true,
            error => error.is_gone() && request.is_document(),
        };
        let (_, reply) = self
            .reach(limit, again, |endpoint| async move {
                client::fetch(&endpoint, request.method.clone(), &request.path_and_query).await
            })
            .await?;
        Ok(reply)
    }

    /// Opens a WebSocket with the client's own key, waiting at most `limit` for a browser.
    ///
    /// # Errors
    ///
    /// No browser in time, or one that gave no answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn open(
        &self,
        route: &Route,
        key: &str,
        limit: Duration,
    ) -> Result<(Arc<Endpoint>, Answer), Error> {
        self.reach(limit, client::Error::is_gone, |endpoint| async move {
            match client::open_websocket(&endpoint, &route.path(&endpoint), key).await {
                Ok(opened) => Ok(Answer::Opened(opened)),
                Err(OpenError::Rejected(reply)) => Ok(Answer::Rejected(reply)),
                Err(OpenError::Failed(error)) => Err(error),
            }
        })
        .await
    }

    async fn reach<T, F>(
        &self,
        limit: Duration,
        again: impl Fn(&client::Error) -> bool,
        work: impl Fn(Arc<Endpoint>) -> F,
    ) -> Result<(Arc<Endpoint>, T), Error>
    where
        F: Future<Output = Result<T, client::Error>>,
    {
        let deadline = Instant::now() + limit;
        let mut failed = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let endpoint = self.wait(left).await?;
            match work(Arc::clone(&endpoint)).await {
                Ok(done) => return Ok((endpoint, done)),
                // A browser that is proven alive and fails a second time is not asked for ever.
                Err(error) if again(&error) && failed != Some(endpoint.generation()) => {
                    failed = Some(endpoint.generation());
                    self.suspect(&endpoint);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
